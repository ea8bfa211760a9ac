// SPDX-License-Identifier: Apache-2.0
/* Every protocol: the same records however the stream is cut, and none invented whatever is missing. */
#include "../../tests/lib/test.h"
#include "proto.h"

struct piece {
	unsigned dir;
	const char *p;
	size_t n;
};
#define C(s)                                                                                       \
	{                                                                                          \
		0, s, sizeof(s) - 1                                                                \
	}
#define S(s)                                                                                       \
	{                                                                                          \
		1, s, sizeof(s) - 1                                                                \
	}
#define MAX_PIECES 24

struct stream {
	const char *name; /* "udp PORT: ..." for datagrams */
	struct piece v[MAX_PIECES];
	const char *want; /* protocol operation resource status, a line each */
};
#define Z8 "\0\0\0\0\0\0\0\0"
#define Z64 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8

static const struct stream streams[] =
	{
		{"http: pipelined, chunked, HEAD, 1xx, body of a request",
			{C("GET /a?token=x&b=1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h\r\n\r\n"
			   "POST /c HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
				S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n"
				  "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"),
				C("12345"),
				S("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc"),
				C("DELETE http://u:p@h/d HTTP/1.1\r\n\r\n"),
				S("HTTP/1.1 204 No Content\r\n\r\n")},
			"http GET /a?token=***&b=1 200\nhttp HEAD /b 200\nhttp POST /c 404!\nhttp DELETE http://***@h/d 204\n"},
		{"tls 1.2: what is encrypted may look like a message of any length",
			{C("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" Z8 Z8 Z8 Z8
			   "\x00\x00\x02\xc0\x2f\x01\x00"),
				S("\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" Z8 Z8 Z8 Z8
				  "\x00\xc0\x2f\x00\x16\x03\x03\x00\x04\x0e\x00\x00\x00"),
				C("\x16\x03\x03\x00\x05\x10\x00\x00\x01\xaa\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x08\x01\xff\xff\xff"
				  "aaaa"),
				S("\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x08\x02\xff\xff\xff"
				  "bbbb")},
			"tls handshake  ok\n"},
		{"http: until close",
			{C("GET / HTTP/1.0\r\n\r\n"), S("HTTP/1.0 200 OK\r\n\r\n<html>and so on")},
			"http GET / 200\n"},
		{"redis: pipelined, nested, error, null, large",
			{C("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nab\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
			   "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
				S("+OK\r\n$2\r\nab\r\n*2\r\n*1\r\n:1\r\n$-1\r\n-ERR no integer\r\n+OK\r\n")},
			"redis SET k ok\nredis GET k ok\nredis EXEC  ok\nredis INCR k ERR!\nredis AUTH  ok\n"},
		{"postgresql: SSL refused, login, simple, extended in a pipeline, an error in the batch",
			{C("\x00\x00\x00\x08\x04\xd2\x16/"), S("N"),
				C("\x00\x00\x00\x1d\x00\x03\x00\x00user\x00me\x00"
				  "database\x00"
				  "db\x00\x00"),
				S("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"),
				C("Q\x00\x00\x00\x19select 'x', 1 from t\x00"),
				S("T\x00\x00\x00\x06\x00\x00"
				  "D\x00\x00\x00\x06\x00\x00"
				  "D\x00\x00\x00\x06\x00\x00"
				  "C\x00\x00\x00\x0dSELECT 2\x00Z\x00\x00\x00\x05I"),
				C("P\x00\x00\x00#s1\x00insert into t values ($1)\x00\x00\x00"
				  "B\x00\x00\x00\x0e\x00s1\x00\x00\x00\x00\x00\x00\x00"
				  "E\x00\x00\x00\x09\x00\x00\x00\x00\x00P\x00\x00\x00\x13\x00select oops\x00\x00\x00"
				  "B\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"
				  "E\x00\x00\x00\x09\x00\x00\x00\x00\x00"
				  "E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04"),
				S("1\x00\x00\x00\x04"
				  "2\x00\x00\x00\x04"
				  "C\x00\x00\x00\x0fINSERT 0 1\x00"
				  "E\x00\x00\x00\x1eSERROR\x00"
				  "C42703\x00Mno column\x00\x00Z\x00\x00\x00\x05I"),
				C("X\x00\x00\x00\x04")},
			"postgresql LOGIN db ok\npostgresql SELECT select ?, ? from t ok\npostgresql INSERT insert into t values ($1) ok\n"
			"postgresql SELECT select oops 42703!\npostgresql SELECT select oops \npostgresql TERMINATE  no_response\n"},
		{"mysql: greeting, login, query with rows, an error, quit",
			{S("&\x00\x00\x00\x0a"
			   "8.0.1\x00\x01\x00\x00\x00"
			   "abcdefgh\x00\xff\xf7!\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
				C("$\x00\x00\x01\x00\x82\x00\x00\x00\x00\x00\x01!\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00me\x00\x00"),
				S("\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"),
				C("\x13\x00\x00\x00\x03select 'a' from t1"),
				S("\x01\x00\x00\x01\x01\x04\x00\x00\x02\x03"
				  "def\x05\x00\x00\x03\xfe\x00\x00\x02\x00\x02\x00\x00\x04\x01"
				  "a\x02\x00\x00\x05\x01"
				  "b\x05\x00\x00\x06\xfe\x00\x00\x02\x00"),
				C("\x05\x00\x00\x00\x03oops"),
				S("\x0d\x00\x00\x01\xff(\x04#42000bad!"),
				C("\x01\x00\x00\x00\x01")},
			"mysql LOGIN me ok\nmysql SELECT select ? from t1 ok\nmysql OOPS oops 1064!\nmysql quit  no_response\n"},
		{"dns over TCP",
			{C("\x00!\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"
			   "example\x03"
			   "com\x00\x00\x01\x00\x01"),
				S("\x00!\x00\x07\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"
				  "example\x03"
				  "com\x00\x00\x01\x00\x01")},
			"dns A www.example.com NXDOMAIN!\n"},
		{"amqp: declare, publish, a channel closed for an error",
			{C("AMQP\x00\x00\x09\x01"),
				S("\x01\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x0a\x00\x09\xce"),
				C("\x01\x00\x01\x00\x00\x00\x0d\x00"
				  "2\x00\x0a\x00\x00\x01q\x00\x00\x00\x00\x00\xce\x01\x00\x01\x00\x00\x00\x0a\x00<\x00(\x00\x00\x00\x01q\x00\xce\x02\x00\x01\x00\x00\x00\x0e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xce\x03\x00\x01\x00\x00\x00\x05hello\xce\x01\x00\x01\x00\x00\x00\x10\x00"
				  "2\x00\x14\x00\x00\x01q\x01x\x00\x00\x00\x00\x00\x00\xce"),
				S("\x01\x00\x01\x00\x00\x00\x0e\x00"
				  "2\x00\x0b\x01q\x00\x00\x00\x00\x00\x00\x00\x00\xce\x01\x00\x01\x00\x00\x00\x0d\x00\x14\x00(\x01\x94\x02no\x00"
				  "2\x00\x14\xce")},
			"amqp basic.publish q no_response\namqp queue.declare q ok\namqp queue.bind q 404!\n"},
		{"cassandra: streams answered out of order, an error",
			{C("\x04\x00\x00\x00\x05\x00\x00\x00\x00"),
				S("\x84\x00\x00\x00\x06\x00\x00\x00\x02\x00\x00"),
				C("\x04\x00\x00\x01\x0b\x00\x00\x00\x02\x00\x00\x04\x00\x00\x02\x07\x00\x00\x00\x22\x00\x00\x00\x1bselect * from a where b = 1\x00\x01\x00"),
				S("\x84\x00\x00\x02\x00\x00\x00\x00\x08\x00\x00\x22\x00\x00\x02no\x84\x00\x00\x01\x02\x00\x00\x00\x00")},
			"cassandra OPTIONS  ok\ncassandra QUERY select * from a where b = ? 0x2200!\ncassandra REGISTER  ok\n"},
		{"kafka: answered out of order, an error, acks=0",
			{C("\x00\x00\x00\x0c\x00\x12\x00\x00\x00\x00\x00\x01\x00\x02me\x00\x00\x00\x16\x00\x0c\x00\x01\x00\x00\x00\x02\x00\x02me\x00\x01g\x00\x00\x00\x01\x00\x01m\x00\x00\x00\x1d\x00\x00\x00\x02\x00\x00\x00\x03\x00\x02me\x00\x00\x00\x00\x03\xe8\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x00"),
				S("\x00\x00\x00\x0a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x1b\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00")},
			"kafka Produce t no_response\nkafka Heartbeat  REBALANCE_IN_PROGRESS!\nkafka ApiVersions  ok\n"},
		{"mongodb: a command, an error, a one-way message, exhaust replies",
			{C("1\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x1c\x00\x00\x00\x02"
			   "find\x00\x02\x00\x00\x00t\x00\x02$db\x00\x02\x00\x00\x00"
			   "d\x00\x00$\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x10ping\x00\x01\x00\x00\x00\x00"),
				S("&\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x11\x00\x00\x00\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0?\x00Q\x00\x00\x00\x0a\x00\x00\x00\x02\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00<\x00\x00\x00\x01ok\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
				  "code\x00\x07\x00\x00\x00\x02"
				  "codeName\x00\x04\x00\x00\x00"
				  "Bad\x00\x02"
				  "errmsg\x00\x03\x00\x00\x00no\x00\x00"),
				C("(\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x02\x00\x00\x00\x00\x13\x00\x00\x00\x02insert\x00\x02\x00\x00\x00t\x00\x00%\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x01\x00\x00\x10\x00\x00\x00\x10hello\x00\x01\x00\x00\x00\x00"), S("&\x00\x00\x00\x0b\x00\x00\x00\x04\x00\x00\x00\xdd\x07\x00\x00\x02\x00\x00\x00\x00\x11\x00\x00\x00\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0?\x00&\x00\x00\x00\x0c\x00\x00\x00\x0b\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x11\x00\x00\x00\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0?\x00")},
			"mongodb find t ok\nmongodb ping  Bad!\nmongodb insert t no_response\nmongodb hello  ok\n"},
		{"http2 and grpc: two streams, the second answered first; an error in the trailers",
			{C("PRI * HTTP/2.0\x0d\x0a\x0d\x0aSM\x0d\x0a\x0d\x0a\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x08\x01\x05\x00\x00\x00\x01\x82\x86\x84@\x01x\x01y\x00\x00\x07\x01\x05\x00\x00\x00\x03\x82\x86"
			   "D\x02/b\xbe"),
				S("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x01\x05\x00\x00\x00\x03\x8d\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88\x00\x00\x05\x00\x01\x00\x00\x00\x01hello"),
				C("\x00\x00'\x01\x04\x00\x00\x00\x05\x83\x86"
				  "D\x04/s/m@\x0c"
				  "content-type\x10"
				  "application/grpc\x00\x00\x05\x00\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00"),
				S("\x00\x00\x01\x01\x04\x00\x00\x00\x05\x88\x00\x00\x05\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x0f\x01\x05\x00\x00\x00\x05@\x0bgrpc-status\x01"
				  "5"),
				C("\x00\x00\x04\x01\x04\x00\x00\x00\x07\x83\x86\xbf\xbe")},
			"http2 GET /b 404!\nhttp2 GET / 200\ngrpc POST /s/m 200!\ngrpc POST /s/m \n"},
		{"memcached: text",
			{C("set k 0 0 3\r\nabc\r\nget k x\r\nincr k 1\r\ndelete k noreply\r\n"),
				S("STORED\r\nVALUE k 0 3\r\nabc\r\nEND\r\nCLIENT_ERROR no number\r\n")},
			"memcached delete k no_response\nmemcached set k STORED\nmemcached get k ok\nmemcached incr k CLIENT_ERROR!\n"},
		{"nats",
			{S("INFO {\"server_id\":\"x\"}\r\n"),
				C("CONNECT {\"verbose\":true}\r\nSUB a.b 1\r\nPUB a.b 5\r\nhello\r\nPING\r\n"),
				S("+OK\r\n+OK\r\n+OK\r\nMSG a.b 1 5\r\nhello\r\nPONG\r\n")},
			"nats CONNECT  ok\nnats SUB a.b ok\nnats PUB a.b ok\nnats MSG a.b no_response\nnats PING  ok\n"},
		{"mqtt",
			{C("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1c"), S("\x20\2\0\0"),
				C("\x32\7\0\1t\0\7hi\xc0\0"), S("\x40\2\0\7\xd0\0"), C("\xe0\0")},
			"mqtt CONNECT c ok\nmqtt PUBLISH t ok\nmqtt PINGREQ  ok\nmqtt DISCONNECT  no_response\n"},
		{"ftp",
			{S("220 FTP ready\r\n"), C("USER me\r\n"), S("331 more\r\n"),
				C("PASS geheim\r\n"), S("230-hello\r\n230 in\r\n"), C("RETR x\r\n"),
				S("150 soon\r\n550 no\r\n")},
			"ftp USER me 331\nftp PASS *** 230\nftp RETR x 550!\n"},
		{"websocket",
			{C("GET /chat?token=geheim HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
				S("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
				C("\x81\x82\1\2\3\4ik"), S("\x01\3abc\x89\0\x80\2de"),
				C("\x8a\x80\0\0\0\0\x88\x82\0\0\0\0\3\xe8"), S("\x88\2\3\xf3")},
			"http GET /chat?token=*** 101\nwebsocket text /chat?token=*** no_response\n"
			"websocket ping /chat?token=*** no_response\nwebsocket text /chat?token=*** no_response\n"
			"websocket pong /chat?token=*** no_response\nwebsocket close /chat?token=*** no_response\n"
			"websocket close /chat?token=*** no_response!\n"},
		{"smtp",
			{S("220 mail ESMTP\r\n"), C("EHLO me\r\n"),
				S("250-mail\r\n250 AUTH LOGIN\r\n"), C("AUTH LOGIN\r\n"),
				S("334 VXNlcm5hbWU6\r\n"), C("geheim\r\n"),
				S("334 UGFzc3dvcmQ6\r\n"), C("geheim\r\n"), S("235 ok\r\n"),
				C("MAIL FROM:<a@b> SIZE=9\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
				S("250 ok\r\n550 no such user\r\n354 go\r\n"),
				C("Subject: geheim\r\n\r\n..\r\n.\r\nQUIT\r\n"),
				S("250 queued\r\n221 bye\r\n")},
			"smtp EHLO me 250\nsmtp AUTH LOGIN 235\nsmtp MAIL a@b 250\nsmtp RCPT c@d 550!\nsmtp DATA  250\nsmtp QUIT  221\n"},
		{"ldap",
			{C("\x30\x16\2\1\1\x60\x11\2\1\3\4\4cn=a\x80\6geheim"),
				S("\x30\x0c\2\1\1\x61\7\x0a\1\x31\4\0\4\0"),
				C("\x30\x29\2\1\2\x63\x24\4\4dc=x\x0a\1\2\x0a\1\0\2\1\0\2\1\0\1\1\0\xa3\x0b\4\3uid\4\4anna\x30\0"),
				S("\x30\x0d\2\1\2\x64\x08\4\4dc=x\x30\0\x30\x0c\2\1\2\x65\7\x0a\1\0\4\0\4\0"),
				C("\x30\5\2\1\3\x42\0")},
			"ldap bind cn=a invalidCredentials!\nldap search dc=x success\nldap unbind  no_response\n"},
		{"fastcgi",
			{C("\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0\1\4\0\1\0\x2f\1\0\x0e\3REQUEST_METHODGET\x0b\x0fREQUEST_URI/x?token=geheim\0"
			   "\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0"),
				S("\1\6\0\1\0\x1d\0\0Status: 404 Not Found\r\n\r\nbody\1\6\0\1\0\3\5\0abc12345\1\6\0\1\0\0\0\0"
				  "\1\3\0\1\0\x08\0\0\0\0\0\0\0\0\0\0")},
			"fastcgi GET /x?token=*** 404!\n"},
		{"modbus",
			{C("\0\1\0\0\0\6\1\3\0\x64\0\x0a"), S("\0\1\0\0\0\5\1\3\2\0\7"),
				C("\0\2\0\0\0\6\1\5\0\1\xff\0"), S("\0\2\0\0\0\3\1\x85\2")},
			"modbus read_holding_registers unit 1 address 100 count 10 ok\n"
			"modbus write_single_coil unit 1 address 1 illegal_data_address!\n"},
		{"rdp",
			{C("\3\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=anna\r\n\1\0\x08\0\3\0\0\0"),
				S("\3\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\0\x08\0\0\0\0\0")},
			"rdp connect anna rdp\n"},
		{"udp 123: ntp",
			{C("\x23\0\0\0\0\0\0\0" Z8 Z8 Z8 Z8 "STAMP123"),
				S("\x24\2\0\0\0\0\0\0\0\0\0\0\x0a\1\2\3" Z8 "STAMP123" Z8
				  "ABCDEFGH")},
			"ntp client  ok\n"},
		{"udp 5683: coap",
			{C("\x41\1\0\1t\xb4temp\x45token"), S("\x61\x45\0\1t\xff"
							      "22")},
			"coap GET /temp?token 2.05\n"},
		{"udp 67: dhcp",
			{C("\1\1\6\0\1\2\3\4" Z64 Z64 Z64 Z8 Z8 Z8 Z8
			   "\0\0\0\0\x63\x82\x53\x63\x35\1\1\x0c\4host\xff")},
			"dhcp DISCOVER  no_response\n"},
		{"ssh", {S("SSH-2.0-OpenSSH_9.2\r\n"), C("SSH-2.0-x\r\n")}, "ssh handshake  ok\n"},
};

struct out {
	struct wr_buf b;
	unsigned n;
	bool raw, unmasked; /* messages, too, into @messages */
	struct wr_buf messages;
	const struct stream *st;
};

static void put(struct wr_buf *b, struct wr_str s)
{
	wr_buf_c(b, ' ');
	wr_buf_str(b, s);
}

static void emit(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	struct out *o = ctx;
	struct wr_buf json = WR_BUF(WR_MAX_LINE);

	(void)s;
	(void)flip;
	wr_buf_str(&o->b, r->protocol);
	put(&o->b, r->operation);
	put(&o->b, r->resource);
	put(&o->b, r->status);
	if (r->error)
		wr_buf_c(&o->b, '!');
	wr_buf_c(&o->b, '\n');
	o->n++;
	wr_json(&json, &r->ev, NULL);
	assert_true(o->unmasked || !memmem(json.p, json.n, "geheim", 6));
	assert_true(o->unmasked || !memmem(json.p, json.n, "secret", 6));
	wr_buf_free(&json);
}

static void count(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	(void)s;
	(void)r;
	(void)flip;
	((struct out *)ctx)->n++;
}

/* The bytes of a message: what its sender sent in one piece of the stream, secrets hidden unless wanted. */
static void on_message(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip)
{
	struct out *o = ctx;
	uint8_t plain[4096];
	size_t hidden = 0;

	(void)s;
	(void)flip;
	assert_true(
		r->data.n % 2 == 0 && r->data.n / 2 <= r->length && r->data.n / 2 <= sizeof(plain));
	for (size_t i = 0; i < r->data.n / 2; i++) {
		char t[3] = {r->data.p[2 * i], r->data.p[2 * i + 1], 0};

		hidden += t[0] == '.';
		plain[i] = t[0] == '.' ? 0 : (uint8_t)strtoul(t, NULL, 16);
	}
	if (o->unmasked) {
		bool sent = false;

		assert_int_equal(hidden, 0);
		for (unsigned d = 0; d < 2 && !sent; d++) {
			struct wr_buf all = WR_BUF(1 << 20);

			for (unsigned i = 0; i < MAX_PIECES && o->st->v[i].p; i++) {
				if (o->st->v[i].dir == d)
					wr_buf_put(&all, o->st->v[i].p, o->st->v[i].n);
			}
			sent = all.n && memmem(all.p, all.n, plain, r->data.n / 2);
			/* streams of HTTP/2 lie between each other, a ping within a message: all of it, in order */
			if (!sent && (!strncmp(o->st->name, "http2", 5) ||
					     !strcmp(o->st->name, "websocket"))) {
				size_t k = 0;

				for (size_t i = 0; i < all.n && k < r->data.n / 2; i++)
					k += (uint8_t)all.p[i] == plain[k];
				sent = k == r->data.n / 2;
			}
			wr_buf_free(&all);
		}
		if (!sent)
			print_error("%s: a %.*s that nobody sent\n", o->st->name, (int)r->part.n,
				r->part.p);
		assert_true(sent);
	} else {
		assert_null(memmem(plain, r->data.n / 2, "geheim", 6));
		assert_null(memmem(plain, r->data.n / 2, "secret", 6));
	}
	wr_buf_str(&o->messages, r->part);
	put(&o->messages, r->data);
	put(&o->messages, r->fields);
	put(&o->messages, r->rule);
	wr_buf_c(&o->messages, '\n');
}

static uint16_t udp_port(const struct stream *st)
{
	return strncmp(st->name, "udp ", 4) ? 0 : (uint16_t)strtoul(st->name + 4, NULL, 10);
}

static void not_looked_at(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip)
{
	(void)ctx;
	(void)s;
	(void)r;
	(void)flip;
}

/* @cut: pieces of at most so many bytes; 0 = whole. @drop: this byte of all is missing; -1 = none. */
static void play(const struct stream *st, size_t cut, long drop, struct out *o)
{
	struct wr_session_config cfg = {.emit = emit,
		.raw = o->raw ? 4096 : 0,
		.unmasked = o->unmasked,
		.message = on_message,
		.ctx = o};
	struct wr_sessions *p = wr_sessions_new(&cfg);
	struct wr_session *s =
		wr_session_new(p, NULL, udp_port(st) ? WR_UDP : WR_TCP, udp_port(st), false);
	const struct wr_session_stats *q = wr_sessions_stats(p);
	uint64_t ts = 1000;
	long at = 0;

	o->b = WR_BUF(1 << 20);
	o->messages = WR_BUF(1 << 20);
	o->st = st;
	o->n = 0;
	for (unsigned i = 0; i < MAX_PIECES && st->v[i].p; i++) {
		size_t n = st->v[i].n;

		if (udp_port(st) && drop >= at &&
			drop < at + (long)n) { /* a datagram is missing as a whole */
			at += (long)n;
			continue;
		}
		for (size_t k = 0; k < n;) {
			size_t len = cut && !udp_port(st) ? wr_min(cut, n - k) : n - k;

			if (drop >= at && drop < at + (long)len) {
				size_t before = (size_t)(drop - at);

				if (before)
					wr_session_data(s, st->v[i].dir,
						(struct wr_bytes){
							(const uint8_t *)st->v[i].p + k, before},
						ts);
				wr_session_gap(s, st->v[i].dir, 1, ts);
				if (len > before + 1)
					wr_session_data(s, st->v[i].dir,
						(struct wr_bytes){(const uint8_t *)st->v[i].p + k +
									  before + 1,
							len - before - 1},
						ts);
			} else {
				wr_session_data(s, st->v[i].dir,
					(struct wr_bytes){(const uint8_t *)st->v[i].p + k, len},
					ts);
			}
			k += len;
			at += (long)len;
			ts += 1000;
		}
	}
	wr_session_end(s, ts, true);
	/* the ledger of requests: each that was begun was told */
	assert_int_equal(q->requests, o->n);
	wr_session_free(s);
	wr_sessions_free(p);
}

TEST(every_cut_gives_the_same)
{
	for (unsigned i = 0; i < WR_N(streams); i++) {
		struct out o = {.raw = false};

		if (!streams[i].want)
			continue;
		for (size_t cut = 0; cut <= 64; cut++) {
			play(&streams[i], cut, -1, &o);
			wr_buf_c(&o.b, 0);
			if (strcmp(o.b.p, streams[i].want))
				print_error("%s, pieces of %zu\n", streams[i].name, cut);
			assert_string_equal(o.b.p, streams[i].want);
			wr_buf_free(&o.b);
		}
	}
}

TEST(a_missing_byte_invents_nothing)
{
	for (unsigned i = 0; i < WR_N(streams); i++) {
		long n = 0;
		unsigned whole;
		struct out o = {.raw = false};

		for (unsigned k = 0; k < MAX_PIECES && streams[i].v[k].p; k++)
			n += (long)streams[i].v[k].n;
		play(&streams[i], 0, -1, &o);
		whole = o.n;
		wr_buf_free(&o.b);
		for (long d = 0; d < n; d++) {
			for (size_t cut = 0; cut < 8; cut += 3) {
				play(&streams[i], cut, d, &o);
				/* a response whose request was lost is told by itself: at most one for each */
				assert_true(o.n <= 2 * whole + 1);
				wr_buf_free(&o.b);
			}
		}
	}
}

/* Whichever allocation fails: nothing crashes, what was begun is told. */
TEST(messages_are_the_bytes_that_were_sent)
{
	for (unsigned i = 0; i < WR_N(streams); i++) {
		struct out first = {.raw = true, .unmasked = true};

		if (!streams[i].want)
			continue;
		play(&streams[i], 0, -1, &first);
		assert_true(first.messages.n);
		for (size_t cut = 0; cut <= 64; cut++) {
			struct out o = {.raw = true, .unmasked = cut % 2};

			play(&streams[i], cut, -1, &o);
			if (o.unmasked &&
				(o.messages.n != first.messages.n ||
					memcmp(o.messages.p, first.messages.p, o.messages.n)))
				print_error("%s, pieces of %zu:\n%.*s%.*s", streams[i].name, cut,
					(int)first.messages.n, first.messages.p, (int)o.messages.n,
					o.messages.p);
			if (o.unmasked) {
				assert_int_equal(o.messages.n, first.messages.n);
				assert_memory_equal(o.messages.p, first.messages.p, o.messages.n);
			}
			wr_buf_free(&o.b);
			wr_buf_free(&o.messages);
		}
		wr_buf_free(&first.b);
		wr_buf_free(&first.messages);
	}
}

/* What is wrong, and which bytes of it; the healthy twin has the same bytes in order. */
#define ASK "\0\7\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
#define DNS(answer) C(ASK), S("\0\7\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1" answer)
#define A_RECORD "\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
#define TLS                                                                                        \
	C("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" Z8 Z8 Z8 Z8 "\x00\x00\x02\xc0\x2f\x01\x00")
#define THREE                                                                                      \
	C("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"), S("HTTP/1.1 204 N\r\n\r\n"),                      \
		C("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"), S("HTTP/1.1 204 N\r\n\r\n")
static const struct {
	struct stream st;
	const char *rule; /* NULL: nothing */
	uint64_t at, n;
} wrongs[] = {
	{{"udp 53: right", {DNS("\xc0\x0c" A_RECORD)}, ""}, NULL, 0, 0},
	{{"udp 53: a pointer forward", {DNS("\xc0\x13" A_RECORD)}, ""}, "RFC 1035 4.1.4", 19, 2},
	{{"udp 53: a reserved label", {DNS("\x41" A_RECORD)}, ""}, "RFC 1035 4.1.4", 19, 1},
	{{"udp 53: a label too long", {DNS("\x3f" A_RECORD)}, ""}, "RFC 1035 3.1", 19, 15},
	{{"udp 53: a record too long", {DNS("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5\x7f\0\0\1")}, ""},
		"RFC 1035 4.1.3", 19, 16},
	{{"udp 53: too few questions",
		 {C(ASK), S("\0\7\x81\x80\0\2\0\0\0\0\0\0\1a\0\0\1\0\1\1b\0\0")}, ""},
		"RFC 1035 4.1.2", 22, 1},
	{{"right", {THREE}, ""}, NULL, 0, 0},
	{{"a chunk size",
		 {THREE, C("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"),
			 S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")},
		 ""},
		"RFC 9112 7.1", 0, 5},
	{{"a length", {THREE, C("POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n")},
		 ""},
		"RFC 9110 8.6", 43, 4},
	{{"443: a record type", {TLS, C("\x19\3\3\0\1x")}, ""}, "RFC 8446 5.1", 0, 1},
	{{"443: a record version", {TLS, C("\x16\2\3\0\1x")}, ""}, "RFC 8446 5.1", 1, 2},
	{{"443: a record length", {TLS, C("\x16\3\3\x7f\1x")}, ""}, "RFC 5246 6.2.3", 3, 2},
	{{"a status line",
		 {THREE, C("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"), S("HTTP/1.1 20 OK\r\n\r\n")}, ""},
		"RFC 9112 4", 0, 15},
};

struct found {
	unsigned n;
	char rule[80];
	uint64_t at, len;
};

static void on_wrong(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip)
{
	struct found *f = ctx;

	(void)s;
	(void)flip;
	if (!r->rule.n)
		return;
	f->n++;
	wr_copy(f->rule, sizeof(f->rule), r->rule);
	f->at = r->wrong_at;
	f->len = r->wrong_length;
}

static void not_counted(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	(void)ctx;
	(void)s;
	(void)r;
	(void)flip;
}

static void on_violation(void *ctx, struct wr_session *s, struct wr_ev_violation *r, bool flip)
{
	(void)ctx;
	(void)s;
	(void)flip;
	assert_true(r->rule.n);
}

TEST(the_field_that_is_wrong)
{
	for (unsigned i = 0; i < WR_N(wrongs); i++) {
		const struct stream *st = &wrongs[i].st;
		struct found f = {.n = 0};
		struct wr_session_config cfg = {.raw = 4096,
			.emit = not_counted,
			.violation = on_violation,
			.message = on_wrong,
			.ctx = &f};
		struct wr_sessions *p = wr_sessions_new(&cfg);
		struct wr_session *s = wr_session_new(
			p, NULL, udp_port(st) ? WR_UDP : WR_TCP, udp_port(st), false);

		for (unsigned k = 0; k < MAX_PIECES && st->v[k].p; k++)
			wr_session_data(s, st->v[k].dir,
				(struct wr_bytes){(const uint8_t *)st->v[k].p, st->v[k].n}, k + 1);
		wr_session_end(s, 100, true);
		if (f.n != !!wrongs[i].rule || f.at != wrongs[i].at || f.len != wrongs[i].n)
			print_error("%s: %u, %s at %" PRIu64 "+%" PRIu64 "\n", st->name, f.n,
				f.rule, f.at, f.len);
		assert_int_equal(f.n, !!wrongs[i].rule);
		if (wrongs[i].rule)
			assert_memory_equal(f.rule, wrongs[i].rule, strlen(wrongs[i].rule));
		assert_int_equal(f.at, wrongs[i].at);
		assert_int_equal(f.len, wrongs[i].n);
		wr_session_free(s);
		wr_sessions_free(p);
	}
}

TEST(every_allocation_fails_once)
{
	for (unsigned i = 0; i < WR_N(streams); i++) {
		for (long n = 1; n < 60; n++) {
			struct wr_session_config cfg;
			struct out o = {.b = WR_BUF(1 << 20)};
			struct wr_sessions *p;
			struct wr_session *s;

			cfg = (struct wr_session_config){.emit = count,
				.raw = n % 2 ? 4096 : 0,
				.message = not_looked_at,
				.ctx = &o};
			p = wr_sessions_new(&cfg);
			wr_alloc_fail_at = n;
			s = wr_session_new(p, NULL, udp_port(&streams[i]) ? WR_UDP : WR_TCP,
				udp_port(&streams[i]), false);
			for (unsigned k = 0; s && k < MAX_PIECES && streams[i].v[k].p; k++)
				wr_session_data(s, streams[i].v[k].dir,
					(struct wr_bytes){(const uint8_t *)streams[i].v[k].p,
						streams[i].v[k].n},
					k);
			if (s)
				wr_session_end(s, 100, true);
			assert_int_equal(wr_sessions_stats(p)->requests, o.n);
			wr_alloc_fail_at = 0;
			wr_session_free(s);
			wr_sessions_free(p);
		}
	}
}

static void detail_is_whole(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	unsigned quotes = 0;

	(void)s;
	(void)flip;
	assert_true(r->truncated);
	for (size_t i = 0; i < r->detail.n; i++)
		quotes += r->detail.p[i] == '"';
	assert_true(r->detail.n > 2 && r->detail.p[r->detail.n - 1] == '}' && quotes % 4 == 0);
	++*(unsigned *)ctx;
}

/* A detail that has no room is left out; what is there stays JSON. */
TEST(texts_that_do_not_fit)
{
	for (size_t n = 1000; n < 2000; n += 100) {
		unsigned told = 0;
		struct wr_session_config cfg = {.emit = detail_is_whole, .ctx = &told};
		struct wr_sessions *p = wr_sessions_new(&cfg);
		struct wr_session *s = wr_session_new(p, NULL, WR_TCP, 0, false);
		struct wr_buf b = WR_BUF(1 << 16);
		char x[2000];

		memset(x, 'x', sizeof(x));
		wr_buf_lit(&b, "GET /");
		wr_buf_put(&b, x, sizeof(x));
		wr_buf_lit(&b, " HTTP/1.1\r\nUser-Agent: ");
		wr_buf_put(&b, x, n);
		wr_buf_lit(&b, "\r\n\r\n");
		wr_session_data(s, 0, (struct wr_bytes){(const uint8_t *)b.p, b.n}, 1);
		b.n = 0;
		wr_buf_lit(&b,
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/html\r\n\r\n");
		wr_session_data(s, 1, (struct wr_bytes){(const uint8_t *)b.p, b.n}, 2);
		assert_int_equal(told, 1);
		wr_buf_free(&b);
		wr_session_free(s);
		wr_sessions_free(p);
	}
}

TEST(masks)
{
	static const struct {
		const char *in, *out;
	} sql[] = {{"select * from t where a = 'it''s' and b=3.5e1 -- c\n  limit 10",
			   "select * from t where a = ? and b=? limit ?"},
		{"/* x */ INSERT INTO \"T\" VALUES ($1, $$a$$, $q$'b'$q$, E'\\'c')",
			"INSERT INTO \"T\" VALUES ($1, ?, ?, E?)"},
		{"select $1::int from a1", "select $1::int from a1"}, {"select 'open", "select ?"}};
	struct wr_buf b = WR_BUF(4096);

	for (unsigned i = 0; i < WR_N(sql); i++) {
		wr_mask_sql(&b, wr_str(sql[i].in), false);
		assert_text(b, sql[i].out);
	}
	wr_mask_sql(&b, WR_STR("select \"a\", `b`"), true);
	assert_text(b, "select ?, `b`");
	wr_mask_url(&b, WR_STR("/x?access_token=1&shipping=2&pin=3&q=a#f"));
	assert_text(b, "/x?access_token=***&shipping=2&pin=***&q=a#f");
	wr_mask_url(&b, WR_STR("https://me:pw@host/y?password=z"));
	assert_text(b, "https://***@host/y?password=***");
	wr_buf_free(&b);
}

TEST_MAIN(RUN(every_cut_gives_the_same), RUN(a_missing_byte_invents_nothing),
	RUN(messages_are_the_bytes_that_were_sent), RUN(the_field_that_is_wrong),
	RUN(every_allocation_fails_once), RUN(texts_that_do_not_fit), RUN(masks))
