// SPDX-License-Identifier: Apache-2.0
// TLS by Go's crypto/tls, as servers and clients use it and as they hardly do: tests/world/gotls.py says what for.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A net.Conn in a struct of somebody else, as of listeners that count, limit or read a PROXY header.
type wrapped struct {
	net.Conn
	name string
}
type wrapper struct{ net.Listener }

func (w wrapper) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wrapped{&wrapped{c, "inner"}, "outer"}, nil
}

// serve ADDR CERT KEY [wrapped]: each request's path on a line.
func serve(addr, cert, key string, wrap bool) {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Println(r.URL.Path)
		if strings.HasPrefix(r.URL.Path, "/big") {
			b := make([]byte, 100000)
			w.Header().Set("Content-Length", strconv.Itoa(200*len(b)))
			for i := 0; i < 200; i++ {
				w.Write(b)
			}
			return
		}
		w.Header().Set("Set-Cookie", "session=geheimkeks")
		if strings.HasPrefix(r.URL.Path, "/no") {
			w.WriteHeader(404)
		}
		fmt.Fprintf(w, "got %d", n)
	})
	l, err := net.Listen("tcp", addr)
	check(err)
	if wrap {
		l = wrapper{l}
	}
	check(http.ServeTLS(l, nil, cert, key))
}

// get URL GOROUTINES REQUESTS h1|h2: URL/I/K by each goroutine; every other one with a body.
func get(url string, n, k int, h2 bool) {
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2, MaxIdleConnsPerHost: n}
	c := &http.Client{Transport: t}
	var g sync.WaitGroup
	for i := 0; i < n; i++ {
		g.Add(1)
		go func(i int) {
			defer g.Done()
			for j := 0; j < k; j++ {
				u := fmt.Sprintf("%s/%d/%d", url, i, j)
				var r *http.Response
				var err error
				if j%2 == 0 {
					r, err = c.Get(u)
				} else {
					r, err = c.Post(u, "text/plain", strings.NewReader(strings.Repeat("x", 5000)))
				}
				check(err)
				_, err = io.Copy(io.Discard, r.Body)
				check(err)
				r.Body.Close()
			}
		}(i)
	}
	g.Wait()
}

func deep(n int, f func()) int {
	var room [100]byte
	room[n%100] = 1
	if n == 0 {
		f()
		return int(room[0])
	}
	return deep(n-1, f) + int(room[1])
}

// A goroutine whose stack has to grow somewhere on the way: a function that finds it too short begins twice.
func one(addr string, i int) {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	check(err)
	defer c.Close()
	for j := 0; j < 40; j++ {
		done := make(chan int)
		go func() {
			b := make([]byte, 400)
			deep(j, func() {
				_, err := fmt.Fprintf(c, "GET /deep/%d/%d HTTP/1.1\r\nHost: x\r\n\r\n", i, j)
				check(err)
			})
			got := ""
			for !strings.Contains(got, "got 0") {
				n, err := c.Read(b[:37])
				check(err)
				got += string(b[:n])
			}
			close(done)
		}()
		<-done
	}
}

// Goroutines that write whole requests into one connection at once: the library puts them in order.
func together(addr string, n int) {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	check(err)
	defer c.Close()
	for i := 0; i < n; i++ {
		go func(i int) {
			_, err := fmt.Fprintf(c, "GET /together/%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
			check(err)
		}(i)
	}
	r := bufio.NewReader(c)
	for i := 0; i < n; i++ {
		a, err := http.ReadResponse(r, nil)
		check(err)
		io.Copy(io.Discard, a.Body)
	}
}

// Written before the handshake, which fails: nothing of it ever leaves.
func never(addr string) {
	raw, err := net.Dial("tcp", addr)
	check(err)
	c := tls.Client(raw, &tls.Config{ServerName: "elsewhere"})
	if _, err := c.Write([]byte("GET /never HTTP/1.1\r\nHost: x\r\n\r\n")); err == nil {
		check(fmt.Errorf("a certificate of nobody was believed"))
	}
}

// keep ADDR: connects; a request for each line of the input.
func keep(addr string) {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	check(err)
	r := bufio.NewReader(c)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", in.Text())
		a, err := http.ReadResponse(r, nil)
		check(err)
		io.Copy(io.Discard, a.Body)
		fmt.Println("answered")
	}
}

func main() {
	a := os.Args[1:]
	number := func(i int) int {
		n, err := strconv.Atoi(a[i])
		check(err)
		return n
	}
	switch a[0] {
	case "serve":
		serve(a[1], a[2], a[3], len(a) > 4)
	case "get":
		get(a[1], number(2), number(3), a[4] == "h2")
	case "deep":
		var g sync.WaitGroup
		for i := 0; i < number(2); i++ {
			g.Add(1)
			go func(i int) {
				defer g.Done()
				one(a[1], i)
			}(i)
		}
		g.Wait()
	case "together":
		together(a[1], number(2))
	case "never":
		never(a[1])
	case "keep":
		keep(a[1])
	}
}
