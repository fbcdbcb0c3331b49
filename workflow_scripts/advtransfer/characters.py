"""Characters that no name may have: they break messages, tables and pages, or are not seen.

The last is the byte-order mark, with which two names that look equal differ.
"""

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")
