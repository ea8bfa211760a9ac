# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium without a window, driven by its DevTools protocol: just what the page's tests need."""
import asyncio, base64, json, os, re, shutil, subprocess, tempfile, time, urllib.request
import websockets


class Browser:
    def __init__(self, width=1280, height=900):
        self.dir = tempfile.mkdtemp(prefix="weir-chromium-")
        self.p = subprocess.Popen(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--disable-dev-shm-usage",
                                   "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                                   "--disable-default-apps", "--no-pings", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                                   f"--user-data-dir={self.dir}", f"--window-size={width},{height}", "about:blank"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        end = time.time() + 40
        self.port = None
        while time.time() < end and not self.port:
            m = re.search(r"ws://127\.0\.0\.1:(\d+)/", self.p.stderr.readline())
            self.port = m and int(m[1])
        if not self.port:
            raise RuntimeError("chromium does not start")
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        page = next(t for t in json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json")) if t["type"] == "page")
        self.ws = self.loop.run_until_complete(self._open(page["webSocketDebuggerUrl"]))
        self.n = 0
        self.console = []  # what went wrong in the page
        for d in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{d}.enable")

    async def _open(self, url):
        return await websockets.connect(url, max_size=64 << 20)

    def call(self, method, timeout=20, **params):
        return self.loop.run_until_complete(asyncio.wait_for(self._call(method, params), timeout))

    async def _call(self, method, params):
        self.n += 1
        mine = self.n
        await self.ws.send(json.dumps({"id": mine, "method": method, "params": params}))
        while True:
            m = json.loads(await self.ws.recv())
            if m.get("id") == mine:
                if "error" in m:
                    raise RuntimeError(f"{method}: {m['error']}")
                return m["result"]
            if m.get("method") == "Runtime.exceptionThrown":
                self.console.append(m["params"]["exceptionDetails"].get("exception", {}).get("description", "exception"))
            if m.get("method") == "Runtime.consoleAPICalled" and m["params"]["type"] in ("error", "warning"):
                self.console.append(str([a.get("value") for a in m["params"]["args"]]))
            if m.get("method") == "Log.entryAdded" and m["params"]["entry"]["level"] == "error":
                self.console.append(m["params"]["entry"]["text"] + " " + m["params"]["entry"].get("url", ""))

    def go(self, url):
        self.call("Page.navigate", url=url)

    def js(self, expr):
        r = self.call("Runtime.evaluate", expression=expr, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise RuntimeError(r["exceptionDetails"]["exception"].get("description"))
        return r["result"].get("value")

    def until(self, expr, seconds=10):
        end = time.time() + seconds
        while time.time() < end:
            v = self.js(expr)
            if v:
                return v
            time.sleep(0.1)
        return self.js(expr)

    def size(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def shot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def key(self, k):
        for t in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=t, key=k, text=k if t == "keyDown" else "")

    def close(self):
        self.loop.run_until_complete(self.ws.close())
        self.p.kill()
        self.p.wait()
        shutil.rmtree(self.dir, True)
