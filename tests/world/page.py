# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: every view against real traffic and the API, filters, keys, sizes, what goes wrong."""
import os, sys
if sys.executable != "/usr/bin/python3":
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])  # the system's, with python3-websockets
import shutil, threading, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
sys.path.insert(0, "tests/lib")
from world import *
from browser import Browser

need_root()
tmp = tempfile.mkdtemp(prefix="weir-page-")
later(shutil.rmtree, tmp, True)
shots = os.path.join(BUILD, "page")
os.makedirs(shots, exist_ok=True)
EVIL = "/<img src=x onerror=alert(1)>"


class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *a):
        pass


httpd = ThreadingHTTPServer(("127.0.0.1", 0), H)
httpd.handle_error = lambda *a: None
threading.Thread(target=httpd.serve_forever, daemon=True).start()
port = httpd.server_address[1]
api = free_port()
netns("wpg")
sh("ip link add vpg0 type veth peer name vpg1 netns wpg; ip addr add 10.77.9.1/24 dev vpg0; ip link set vpg0 up; ip -n wpg addr add 10.77.9.2/24 dev vpg1; ip -n wpg link set vpg1 up")
later(sh, "ip link del vpg0", False)
far = ThreadingHTTPServer(("10.77.9.1", 0), H)
far.handle_error = lambda *a: None
threading.Thread(target=far.serve_forever, daemon=True).start()
w = Weir("run", "-q", "--guard.interfaces", "vpg0", "--alerts.packets", "4M", "--store.path", f"{tmp}/s", "--agent.socket", f"{tmp}/sock", "--api.listen", f"127.0.0.1:{api}", "--api.socket", "",
         "--api.tokens", f"{tmp}/tokens", ready=2)
tokens = dict(l.split() for l in open(f"{tmp}/tokens"))
token = tokens["read"]


def load(n, path):
    for _ in range(n):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            take(s, 60)


load(40, "/items")
load(10, "/bad")
load(1, EVIL.replace(" ", "%20"))
for _ in range(5):
    try:
        socket.create_connection(("127.0.0.1", free_port()), timeout=1)
    except OSError:
        pass
time.sleep(2.5)
b = Browser(1280, 900)
later(b.close)
b.size(1280, 900)
loaded = lambda n: b.until(f"(document.body.dataset.loaded || '').startsWith('{n} ') && !document.querySelector('.error')", 15)
text = lambda: b.js("document.querySelector('main').innerText")
rows = lambda title: b.js(f"""[...document.querySelectorAll('section')].filter(s => s.querySelector('h2')?.textContent.trim().startsWith({json.dumps(title)}))
    .flatMap(s => [...s.querySelectorAll('tbody tr')].map(r => [...r.children].map(c => c.innerText)))""")

AXE = os.path.join(BUILD, "web/build/node_modules/axe-core/axe.min.js")


def accessible(name):
    """No serious finding of axe in what is shown now."""
    if not os.path.exists(AXE):
        return skip(f"{name}: nothing serious for axe", "axe-core is not there: the page was built without npm")
    if not b.js("typeof axe === 'object'"):
        b.js(open(AXE).read() + ";0")
    found = b.js("""axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact))
        .map(v => v.id + ': ' + v.nodes.slice(0, 4).map(n => n.target.join(' ') + ' ' + n.failureSummary.split('\\n').slice(1).join(' ')).join(' | ')))""")
    ok(not found, f"{name}: nothing serious for axe", "\n".join(found))


# without the token it says what is missing; with it, once, the token is out of sight
b.go(f"http://127.0.0.1:{api}/")
b.until("document.querySelector('.error')")
ok("the address that `weir run` prints" in text(), "without a token: says what it needs", text())
b.console.clear()
b.go(f"http://127.0.0.1:{api}/#token={token}")
ok(loaded("overview") and token not in b.js("location.href"), "with it the overview, and no token in the address", b.js("location.href"))
paint = b.js("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
ok(paint is not None and paint < 1000, f"first paint after {paint:.0f} ms" if paint else "first paint", paint)
size = sum(os.path.getsize(os.path.join(BUILD, "web/dist", x)) for x in os.listdir(os.path.join(BUILD, "web/dist")))
ok(size < 300 * 1024, f"{size // 1024} KB compressed", size)

# a filter leaves just our server; the numbers are the server's
b.js(f"document.getElementById('where').value = 'server.port = {port}'; document.getElementById('scope').requestSubmit()")
ok(loaded("overview") and b.until("document.querySelector('.facts dd')?.innerText === '51'", 10), "overview: requests as the server counted", text()[:300])
facts = b.js("[...document.querySelectorAll('.facts dd')].map(x => x.innerText)")
ok(facts[:2] == ["51", "10"] and "where=" in b.js("location.hash"), "and errors; the filter is in the address", facts)
ok(b.js("document.querySelectorAll('.uplot canvas').length") == 4, "four charts")
b.shot(f"{shots}/overview.png")
accessible("overview")
for key, name in enumerate(("services", "connections", "requests", "path", "threats", "capture", "health"), 2):
    b.js("document.body.dataset.loaded = ''")
    b.key(str(key))
    if not ok(loaded(name), f"key {key}: {name}", text()[:300]):
        continue
    time.sleep(0.3)
    b.shot(f"{shots}/{name}.png")
    accessible(name)
    if name == "services":
        e = rows("Edges")
        ok(len(e) == 1 and e[0][2] == "http" and e[0][4] == "10" and b.js("document.querySelectorAll('svg.map rect').length") >= 1, "services: one edge with its errors, drawn", e)
    elif name == "connections":
        ok(len([r for r in rows("Connections") if r[1] == "close"]) == 51, "connections: each one that closed", rows("Connections")[:2])
    elif name == "requests":
        s = {r[2]: r[3:5] for r in rows("By operation")}
        ok(s.get("/items") == ["40", "0"] and s.get("/bad") == ["10", "10"], "requests: sums by operation", s)
        ok(any("<img" in k or "%3Cimg" in k for k in s) and not b.js("document.querySelectorAll('main img').length"), "what traffic carries stays text", s)
        b.js("[...document.querySelectorAll('section')].find(s => s.querySelector('h2').textContent.trim() === 'Requests').querySelector('tbody tr').click()")
        ok(b.until("document.querySelector('pre')?.innerText.includes('duration_us')") and "application" in text(), "one request: its stages and fields", text()[-300:])
    elif name == "threats":
        ok("No alert" in text(), "threats: nothing there, said", text())
    elif name == "health":
        s = {r[0]: r[1] for r in rows("Sensors")}
        ok(s.get("tcp") == "active" and s.get("http") == "active" and any(r[0] == "store.in" for r in rows("Ledger")), "health: sensors and the ledger", s)

# drops have no server where a port is closed: without a filter
b.js("document.body.dataset.loaded = ''; document.getElementById('where').value = ''; document.getElementById('scope').requestSubmit()")
b.js("location.hash = '#/path?since=15m'")
ok(loaded("path") and any(r[0] == "NO_SOCKET" and int(r[2]) >= 5 for r in rows("Dropped packets by reason")), "path: what was dropped, and why", text()[:400])

ok(b.js("document.querySelectorAll('svg.heat rect:not(.none)').length") >= 1 and {"application", "waits to be read"} <= set(b.js("[...document.querySelectorAll('svg.heat text')].map(x => x.textContent)")) and
   re.match(r"application, [0-9:]+: [0-9.]+ .?s$", b.js("[...document.querySelectorAll('svg.heat title')].map(x => x.textContent).find(x => x.startsWith('application'))") or ""), "path: a heat map of the stages of requests",
   lambda: b.js("document.querySelector('svg.heat')?.outerHTML"))
b.shot(f"{shots}/path.png")

# an attack, and what the page can do about it
def reach(timeout=1.5):
    with in_netns("wpg"):
        s = socket.socket()
    s.settimeout(timeout)
    with s:
        return s.connect_ex(("10.77.9.1", far.server_address[1])) == 0


ok(reach(), "before: the attacker is a client like others")
for p in range(1, 60):
    with in_netns("wpg"):
        s = socket.socket()
    with s:
        s.connect_ex(("10.77.9.1", p))
b.js("document.body.dataset.loaded = ''; location.hash = '#/threats?since=15m'")
ok(loaded("threats") and b.until("[...document.querySelectorAll('tbody tr')].some(r => r.innerText.includes('port_scan'))", 15), "threats: the scan", text()[:500])
b.js("[...document.querySelectorAll('tbody tr')].find(r => r.innerText.includes('port_scan')).click()")
ok("Drop what 10.77.9.2 sends" in text() and "ATT" in text() and "weir alerts explain" in text(), "one alert: evidence, and what can be done", text()[-900:])
press = lambda scope, label: b.js(f"[...document.querySelectorAll('{scope} button')].find(x => x.textContent.startsWith({json.dumps(label)})).click()")
b.js("window.saved = []; const make = URL.createObjectURL.bind(URL); URL.createObjectURL = (x) => { x.arrayBuffer().then(y => saved.push(new Uint8Array(y).slice(0, 4).join())); return make(x); }; window.prompt = () => window.token")
b.js(f"window.token = {json.dumps(token)}")
press("main", "Its packets")
ok(b.until("document.querySelector('main').innerText.includes('not the token to see payload')", 5), "its packets are not for the token to read", text()[-300:])
b.js(f"window.token = {json.dumps(tokens['payload'])}")
press("main", "Its packets")
ok(b.until("saved.length === 1", 5) and b.js("saved[0]") == "10,13,13,10", "with the token to see payload: a pcapng file", b.js("saved.join(' ')"))
press("main", "Drop what")
ok(b.until("!!document.querySelector('dialog[open]')") and b.until("document.querySelector('dialog').innerText.includes('would have hit')", 5), "it asks first, and says whom it would have hit", lambda: b.js("document.querySelector('dialog')?.innerText"))
accessible("the question")
b.shot(f"{shots}/act.png")
b.js(f"document.querySelector('dialog input[type=password]').value = {json.dumps(token)}")
press("dialog", "Yes, drop")
ok(b.until("document.querySelector('dialog').innerText.includes('not the token to control')", 5) and reach(), "with the token to read: refused, nothing is dropped", lambda: b.js("document.querySelector('dialog')?.innerText"))
b.js(f"document.querySelector('dialog input[type=password]').value = {json.dumps(tokens['control'])}")
press("dialog", "Yes, drop")
rule = lambda: [r for r in records(weir("guard", "list", "--json", "--socket", f"{tmp}/sock").stdout) if r.get("action") == "drop" and not r.get("automatic")]
ok(b.until("!document.querySelector('dialog')", 8) and len(rule()) == 1 and rule()[0]["text"] == "src 10.77.9.2" and "expires" in rule()[0] and not reach(), "with the token to control: the rule is there, it ends, the attacker gets nothing", lambda: (rule(), b.js("document.querySelector('dialog')?.innerText")))
ok(b.until("[...document.querySelectorAll('tbody tr')].some(r => r.innerText.includes('src 10.77.9.2'))", 8), "the page shows it", text()[-500:])
b.shot(f"{shots}/threats.png")
accessible("threats, with a rule")
b.js("document.querySelector('button[aria-label^=\"Remove rule\"]').click()")
ok(until(lambda: not rule(), 5) and reach(), "removed, and all is as before", rule())

alerts_of = lambda: {r["id"] for r in records(weir("query", "alert", "--store", f"{tmp}/s", "--since", "1h", "--json").stdout) if "id" in r}
# a capture: packets as they come, with their owner; the file of them
b.js("document.body.dataset.loaded = ''; location.hash = '#/capture'; sessionStorage.removeItem('weir-payload'); sessionStorage.removeItem('weir-control')")
loaded("capture")
typed = lambda label, v: b.js(f"document.querySelector('[aria-label={json.dumps(label)}]').value = {json.dumps(v)}")
said = lambda words, s=8: b.until(f"document.querySelector('main').innerText.includes({json.dumps(words)})", s)
typed("Which packets", "port ="), typed("Token to see payload", tokens["payload"]), typed("For how long", "15s")
press("main", "Capture")
ok(said("expected a value for"), "capture: a wrong filter is told", text()[:400])
typed("Which packets", f"port {port}")
press("main", "Capture")
ok(said("0 packets"), "it begins", text()[:400])
time.sleep(0.5)
load(3, "/captured")
ok(said("GET /captured", 6) and "python3[" in text(), "packets come as they are seen, with their process and what they say", text()[:600])
b.shot(f"{shots}/capture.png")
accessible("capture, with packets")
press("main", "Stop")
ok(b.until("[...document.querySelectorAll('main button')].some(x => !x.hidden && x.textContent.startsWith('Save'))", 5), "it can be stopped", text()[:300])
shown = b.js("document.querySelector('main .note[role=status]').innerText")
b.js("window.bytes = null; const was = URL.createObjectURL; URL.createObjectURL = (x) => { x.arrayBuffer().then(y => { window.bytes = [...new Uint8Array(y)]; }); return was(x); }")
press("main", "Save as")
b.until("!!window.bytes", 5)
open(f"{tmp}/shown.pcapng", "wb").write(bytes(b.js("window.bytes")))
n = len(sh(f"tshark -r {tmp}/shown.pcapng 2>/dev/null").splitlines())
ok(n >= 3 * 8 and shown.startswith(f"{n} packets") and len(rows("Packets")) == n, "the file has as many packets for tshark as are shown", (n, shown))
ok(until(lambda: not [x for x in os.listdir(f"{tmp}/s/evidence") if os.path.getmtime(f"{tmp}/s/evidence/{x}") > time.time() - 20 and x[:16] not in alerts_of()], 5), "nothing of it stays on the disk", os.listdir(f"{tmp}/s/evidence"))

# live: new traffic shows without a reload
b.js(f"document.body.dataset.loaded = ''; location.hash = '#/overview?since=15m&where=' + encodeURIComponent('server.port = {port}')")
loaded("overview")
load(9, "/items")
ok(b.until("document.querySelector('.facts dd')?.innerText === '63'", 15), "new traffic shows by itself", lambda: b.js("document.querySelector('.facts').innerText"))
b.key("p")
ok(b.js("document.getElementById('pause').getAttribute('aria-pressed')") == "true", "p pauses it")
b.key("p")

# a wrong filter is told, with the API's words
b.js("document.getElementById('where').value = 'sevrer.port = 1'; document.getElementById('scope').requestSubmit()")
ok(b.until("document.querySelector('.error')?.innerText.includes('did you mean')"), "a wrong filter is told", text()[:300])
b.js("document.getElementById('where').value = ''; document.getElementById('scope').requestSubmit()")
ok(b.until("!document.querySelector('.error')", 10), "and forgotten when it is right again")

# dark, and a phone: nothing is wider than the screen
b.key("t")
first = b.js("document.documentElement.dataset.theme")
b.key("t")
ok({first, b.js("document.documentElement.dataset.theme")} == {"dark", "light"}, "t changes the theme")
b.js("document.documentElement.dataset.theme = 'dark'")
accessible("overview, dark")
b.js("document.documentElement.dataset.theme = 'light'")
accessible("overview, light")
if os.path.exists(AXE):  # can it find anything?
    b.js("document.querySelector('main').insertAdjacentHTML('beforeend', '<img id=bare src=icon.svg>')")
    bare = b.js("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => v.id))")
    ok("image-alt" in bare, "axe finds what is wrong on purpose", bare)
    b.js("document.getElementById('bare').remove()")
b.size(390, 800, True)
for name in ("overview", "services", "requests"):
    b.js(f"document.body.dataset.loaded = ''; location.hash = '#/{name}?since=15m'")
    loaded(name)
    time.sleep(0.5)
    wide = b.js("document.documentElement.scrollWidth")
    b.shot(f"{shots}/phone-{name}.png")
    ok(wide <= 390, f"390 pixels wide: {name} fits", wide)

# for those who do not see it: landmarks, names, one heading
names = b.js("""[...document.querySelectorAll('button,input,select,a')].filter(e => !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !e.labels?.length).length""")
ok(names == 0 and b.js("document.querySelectorAll('h1').length") == 1 and b.js("document.querySelectorAll('main,nav,header').length") == 3 and b.js("document.documentElement.lang") == "en",
   "every control has a name, the page its landmarks", names)
errs = [x for x in b.console if "status of 400" not in x and "status of 401" not in x]
ok(not errs, "no error in the console", errs[:5])

# the agent goes: the page says so, and comes back by itself
w.end()
ok(b.until("document.querySelector('.error')?.innerText.includes('does not answer')", 12), "without the agent: says so", text()[:200])
w = Weir("run", "-q", "--store.path", f"{tmp}/s", "--agent.socket", f"{tmp}/sock", "--api.listen", f"127.0.0.1:{api}", "--api.socket", "", "--api.tokens", f"{tmp}/tokens", ready=2)
ok(b.until("!document.querySelector('.error')", 15), "with it again: goes on, with what was kept", text()[:200])
w.end()

# ten thousand edges: it stays quick, and what is drawn can be read
sh(f"{BUILD}/helpers/history {tmp}/many edges")
w = Weir("run", "-q", "--store.path", f"{tmp}/many", "--agent.socket", f"{tmp}/sock", "--api.listen", f"127.0.0.1:{api}", "--api.socket", "", "--api.tokens", f"{tmp}/tokens", ready=2)
b.js("window.tasks = []; new PerformanceObserver(l => l.getEntries().forEach(e => tasks.push(e.duration))).observe({entryTypes: ['longtask']}); document.body.dataset.loaded = ''; location.hash = '#/services?since=1h'")
t0 = time.time()
ok(loaded("services") and b.until("document.querySelectorAll('tbody tr').length === 500", 10), f"10,000 edges: there in {time.time() - t0:.1f} s", text()[:300])
ok(re.search(r"the 60 busiest of 10,00\d edges", text()) and b.js("document.querySelectorAll('svg.map rect').length") <= 40, "the map has as many as can be read, and says so", text()[:300])
small = b.js("[...document.querySelectorAll('svg.map text')].map(x => x.getBoundingClientRect().height).sort((a, b) => a - b)[0]")
ok(small > 9, "... in letters that can be read", small)
time.sleep(6)
ok(b.js("tasks.every(x => x < 400)"), "the page never stands still, nor when it loads again", b.js("tasks.join()"))
b.shot(f"{shots}/map-many.png")
accessible("services, with many edges")
b.js("document.body.dataset.loaded = ''; location.hash = '#/services?since=1h&where=' + encodeURIComponent('server.service = server-003')")
ok(loaded("services") and b.until("document.querySelectorAll('tbody tr').length === 100", 10), "a filter narrows it", text()[:300])
w.end()
done()
