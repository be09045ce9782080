# The mapper of the job in plain Python: user TAB timestamp TAB action, one line a click.
import json
import sys

for line in sys.stdin:
    try:
        click = json.loads(line)
    except ValueError:
        continue
    user, action = click.get("user_id"), click.get("action")
    if isinstance(user, str) and user and isinstance(action, str) and action:
        print(user, click.get("timestamp"), action, sep="\t")
