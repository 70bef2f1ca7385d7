"""`carillon dev` as a process, with its control API."""
import json
import re

from support import http, ws
from support.carillon import REPORT, Process
from support.wait import DEADLINE_S, until


class DevServer(Process):
    def __init__(self, folder, *arguments, name="dev", env=None):
        """Without --pong-timeout it is five minutes: a client of these tests answers pings only while it is being read from."""
        if "--pong-timeout" not in arguments:
            arguments = ("--pong-timeout", "5m", *arguments)
        super().__init__(folder, ["dev", "--port", "0", "--internal-port", "0", *arguments], name=name, env=env)
        found = until(lambda: re.search(r"clients on (\S+):(\d+)(?: by TLS)?, internal on (\S+):(\d+),", self.log()), "dev is ready")
        self.public, self.internal = (found[1], int(found[2])), (found[3], int(found[4]))
        until(lambda: self.output().endswith("\n\n") or self.output().endswith("}\n"), "dev prints what a client needs")

    def check_log(self):
        """dev shows its demo token: that is what it is for."""
        report = REPORT.search(self.log())
        assert not report, f"{self.name}:\n{self.log()[max(0, report.start() - 500):][:6500]}"

    def call(self, method, path, body=None, headers=None):
        """Any answer of the control API."""
        return http.request(self.internal, method, f"/dev/v1{path}", body, headers)

    def order(self, path, body=None, method="POST"):
        """The JSON of an answer that is a success."""
        answer = self.call(method, path, body)
        assert answer.status in (200, 204), answer
        return answer.json if answer.body else None

    def refused(self, path, body, status=400, method="POST"):
        """The sentence of a refusal."""
        answer = self.call(method, path, body)
        assert answer.status == status, answer
        return answer.json["error"]["message"]

    def token(self, sub="ada", **wish):
        return self.order("/tokens", {"sub": sub, **wish})["token"]

    @property
    def api_key(self):
        return re.search(r"X-API-Key: (\w+)", self.output())[1]

    def client(self, token, **options):
        return ws.Client(self.public, token, **options)

    def connect(self, sub="ada", wish=None, **options):
        """A client that has its session_init. wish: of the token."""
        return self.client(self.token(sub, **(wish or {})), **options).start()

    def publish(self, channel, message="hello"):
        event = {"channel": channel, "type": "notification", "data": {"message": message}}
        answer = http.request(self.internal, "POST", "/api/v1/publish", event, {"X-API-Key": self.api_key})
        assert answer.status == 200, answer
        return answer.json

    def do(self, action, on=None, count=1):
        """A fault at once, which happens to so many sessions."""
        answer = self.order("/do", {"on": on or {"all": True}, "action": action})
        assert answer["count"] == count, answer
        return answer

    def rule(self, match, action, **more):
        """The id of a new rule."""
        return self.order("/rules", {"match": match, "action": action, **more})["id"]

    def rules(self):
        return self.order("/rules", method="GET")["rules"]

    def journal(self, query=""):
        answer = self.call("GET", f"/journal{query}")
        assert answer.status == 200, answer
        return [json.loads(line) for line in answer.body.decode().splitlines()]

    def find(self, seconds=DEADLINE_S, **members):
        """Waits for the first line of the journal with these members."""
        def found():
            return next((line for line in self.journal() if all(line.get(name) == value for name, value in members.items())), None)
        return until(found, f"the journal has {members}", seconds)
