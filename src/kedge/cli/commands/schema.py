"""`kedge schema [KIND]`: JSON Schemas for editors."""
