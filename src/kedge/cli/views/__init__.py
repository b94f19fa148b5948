"""How answers are written: for people (`human`, `plan`) and for programs (`machine`)."""
