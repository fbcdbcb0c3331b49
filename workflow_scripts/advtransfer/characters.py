"""Characters that no name may have: they break messages, tables and pages, or cannot be seen.

The last is the byte-order mark: names that differ in it alone look equal.
"""

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")
