# The same count in one Python process with a dict.
import json
import sys

users = {}
with open(sys.argv[1]) as lines:
    for line in lines:
        try:
            click = json.loads(line)
        except ValueError:
            continue
        user, action = click.get("user_id"), click.get("action")
        if not (isinstance(user, str) and user and isinstance(action, str) and action):
            continue
        seen = users.get(user)
        last = (click.get("timestamp"), action)
        if seen is None:
            users[user] = [1, last]
        else:
            seen[0] += 1
            if last > seen[1]:
                seen[1] = last
for user, (count, last) in users.items():
    print(json.dumps({"user_id": user, "click_count": count, "last_action": last[1]}, separators=(",", ":")))
