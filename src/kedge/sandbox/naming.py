"""What names may look like, and how the API server says so."""

from __future__ import annotations

import re

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
ENDS = "and must start and end with an alphanumeric character"
NAME_WORDS = "alphanumeric characters, '-', '_' or '.', " + ENDS
TOLD = {
    SUBDOMAIN: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    f"{ENDS} (e.g. 'example.com', regex used for validation is '{SUBDOMAIN.pattern}')",
    LABEL: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    f"{ENDS} (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL.pattern}')",
    SERVICE: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{SERVICE.pattern}')",
    VALUE: f"a valid label must be an empty string or consist of {NAME_WORDS} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{VALUE.pattern}')",
    QUALIFIED: f"name part must consist of {NAME_WORDS} "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED.pattern}')",
}
