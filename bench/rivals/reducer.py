# The reducer of the job in plain Python: sorted lines of the mapper in, one row a user out.
import json
import sys
from itertools import groupby


def fields(line):
    return line.rstrip("\n").split("\t")


for user, clicks in groupby(map(fields, sys.stdin), key=lambda click: click[0]):
    count, last = 0, ("", "")
    for _, timestamp, action in clicks:
        count += 1
        last = max(last, (timestamp, action))
    print(json.dumps({"user_id": user, "click_count": count, "last_action": last[1]}, separators=(",", ":")))
