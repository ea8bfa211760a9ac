// SPDX-License-Identifier: Apache-2.0
/* short PORT N PARALLEL: N processes, each connects to 127.0.0.1:PORT, sends its pid, ends. Prints "pid port". */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0,
	    n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
	int par = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 4, running = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < n; i++) {
		if (running == par) {
			wait(NULL);
			running--;
		}
		if (!fork()) {
			struct sockaddr_in a = {
				.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
			socklen_t len = sizeof(a);
			char line[64], c;
			int fd = socket(AF_INET, SOCK_STREAM, 0), k;

			a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			if (connect(fd, (struct sockaddr *)&a, sizeof(a)) ||
				getsockname(fd, (struct sockaddr *)&a, &len))
				_exit(1);
			k = snprintf(
				line, sizeof(line), "%d %d\n", (int)getpid(), ntohs(a.sin_port));
			if (write(1, line, (size_t)k) != k || write(fd, line, (size_t)k) != k ||
				read(fd, &c, 1) < 0)
				_exit(1);
			_exit(0);
		}
		running++;
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
