"""Chromium without a window, ordered about over its debugging protocol (CDP): one page, its keys, its errors, its pictures."""
import base64
import json
import subprocess
import time

from support import http, ws
from support.wait import DEADLINE_S, until

KEY_CODES = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35,
             "PageDown": 34, "PageUp": 33, " ": 32}


class Page:
    """A page of a Chromium of its own. program and flags: what starts it. Opened and closed as a context."""

    def __init__(self, folder, program, flags, width=1400, height=900, dark=False):
        self.profile = folder / "profile"
        self.log = open(folder / "chromium.log", "wb")
        self.process = subprocess.Popen([program, *flags, f"--user-data-dir={self.profile}", "--remote-debugging-port=0",
                                         "--remote-allow-origins=*", "about:blank"], stdout=self.log, stderr=self.log)
        self.last, self.events = 0, []
        try:
            self.socket = self.connect()
            for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
                self.order(f"{domain}.enable")
            self.look(width, height, dark)
        except BaseException:
            self.close()
            raise

    def connect(self):
        port_file = self.profile / "DevToolsActivePort"
        until(lambda: port_file.exists() and "\n" in port_file.read_text(), "Chromium tells its port")
        address = ("127.0.0.1", int(port_file.read_text().split()[0]))

        def page():
            targets = json.loads(http.request(address, "GET", "/json", None, {"Host": "localhost"}).body)
            return next((one for one in targets if one["type"] == "page"), None)
        path = "/" + until(page, "Chromium has a page")["webSocketDebuggerUrl"].split("/", 3)[3]
        return ws.Client(address, path=path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        self.log.close()

    # --- orders ---

    def order(self, method, **parameters):
        self.last += 1
        self.socket.send_text(json.dumps({"id": self.last, "method": method, "params": parameters}))
        while True:
            message = self.socket.receive(what=f"the answer to {method}")
            if message.get("id") == self.last:
                assert "error" not in message, (method, message)
                return message["result"]
            self.events.append(message)

    def look(self, width, height, dark=False):
        self.order("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.order("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.order("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def eval(self, script):
        """The value of an expression; one that is a promise is waited for."""
        answer = self.order("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (script[:200], answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, script):
        return until(lambda: self.eval(f"Boolean({script})"), script[:200])

    def click(self, selector):
        self.eval(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector, text):
        self.eval(f"(field => {{ field.value = {json.dumps(text)}; field.dispatchEvent(new Event('input', {{bubbles: true}}));"
                  f"field.dispatchEvent(new Event('change', {{bubbles: true}})); }})(document.querySelector({json.dumps(selector)}))")

    def text(self, selector):
        return self.eval(f"document.querySelector({json.dumps(selector)})?.textContent")

    def key(self, key, shift=False):
        """One key, as the keyboard gives it."""
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        shared = {"key": key, "modifiers": 8 if shift else 0, "windowsVirtualKeyCode": KEY_CODES.get(key, ord(key[0].upper()))}
        self.order("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **shared)
        self.order("Input.dispatchKeyEvent", type="keyUp", **shared)

    def type(self, text):
        self.order("Input.insertText", text=text)

    def focused(self):
        return self.eval("document.activeElement.id || document.activeElement.name || document.activeElement.textContent.trim().slice(0, 40)")

    # --- what it has seen ---

    def complaints(self):
        """Errors of scripts and of the policy. Refusals of the server are none."""
        self.eval("1")
        found = [one["params"] for one in self.events if one["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Audits.issueAdded")]
        found = [one for one in found if one.get("issue", {}).get("code", "ContentSecurityPolicyIssue") == "ContentSecurityPolicyIssue"]
        return [one for one in found if one.get("entry", {"level": "error"})["level"] == "error" and one.get("entry", {}).get("source") != "network"]

    def picture(self, path):
        time.sleep(0.3)  # for what fades in
        path.write_bytes(base64.b64decode(self.order("Page.captureScreenshot", format="png")["data"]))
