/* A stand-in for vLLM that costs almost nothing: one thread, epoll, keep-alive.
 *
 * usage: mock_upstream PORT REPLY_FILE STREAM_FILE
 *   REPLY_FILE   a whole HTTP response: the answer to a chat completion
 *   STREAM_FILE  the same for "stream":true; its parts are separated by a NUL byte
 *                and written one by one, as an engine's tokens arrive
 *
 * It answers GET /health, /v1/models and /metrics, POST /v1/chat/completions and
 * POST /v1/load_lora_adapter, /v1/unload_lora_adapter. It reads bodies by
 * Content-Length only, which is what the clients under test send, and serves up to
 * 256 KiB a request. It listens on 127.0.0.1 alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 4096, MAX_REQUEST = 256 * 1024, EVENTS = 256, MAX_PARTS = 64 };

struct connection { char *data; size_t used; };
struct blob { char *data; size_t size; };

static struct connection connections[MAX_FDS];
static struct blob reply, parts[MAX_PARTS];
static size_t part_count;
static char metrics[512];

static const char MODELS[] =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 71\r\n\r\n"
    "{\"object\":\"list\",\"data\":[{\"id\":\"base\",\"object\":\"model\",\"root\":\"base\"}]}";
static const char EMPTY[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
static const char NOT_FOUND[] = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

static void die(const char *what) { perror(what); exit(1); }

static struct blob slurp(const char *path) {
    struct blob blob = {0};
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    blob.size = (size_t)ftell(file);
    rewind(file);
    blob.data = malloc(blob.size + 1);
    if (!blob.data || fread(blob.data, 1, blob.size, file) != blob.size) die(path);
    blob.data[blob.size] = 0;
    fclose(file);
    return blob;
}

static void split(struct blob whole) {
    char *at = whole.data, *end = whole.data + whole.size;
    while (at < end && part_count < MAX_PARTS) {
        size_t size = strnlen(at, (size_t)(end - at));
        parts[part_count++] = (struct blob){at, size};
        at += size + 1;
    }
}

/* Answers fit the socket buffer: a client that does not read is none of ours. */
static int put(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0) return -1;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int put_stream(int fd) {
    for (size_t i = 0; i < part_count; i++)
        if (put(fd, parts[i].data, parts[i].size)) return -1;
    return 0;
}

static int answer(int fd, const char *head, const char *body, size_t size) {
    if (!strncmp(head, "POST /v1/chat/completions ", 26)) {
        int stream = memmem(body, size, "\"stream\":true", 13) != NULL;
        return stream ? put_stream(fd) : put(fd, reply.data, reply.size);
    }
    if (!strncmp(head, "GET /health ", 12) || !strncmp(head, "POST /v1/load_lora", 18) ||
        !strncmp(head, "POST /v1/unload_lora", 20))
        return put(fd, EMPTY, sizeof EMPTY - 1);
    if (!strncmp(head, "GET /v1/models ", 15)) return put(fd, MODELS, sizeof MODELS - 1);
    if (!strncmp(head, "GET /metrics ", 13)) return put(fd, metrics, strlen(metrics));
    return put(fd, NOT_FOUND, sizeof NOT_FOUND - 1);
}

static size_t content_length(const char *head, const char *end) {
    for (const char *line = head; line && line < end;) {
        if (!strncasecmp(line, "content-length:", 15)) return strtoul(line + 15, NULL, 10);
        line = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (line) line += 2;
    }
    return 0;
}

/* Answers every complete request in the buffer; -1 closes the connection. */
static int serve(int fd, struct connection *c) {
    for (;;) {
        char *end = memmem(c->data, c->used, "\r\n\r\n", 4);
        if (!end) return c->used < MAX_REQUEST ? 0 : -1;
        size_t head = (size_t)(end - c->data) + 4;
        size_t body = content_length(c->data, end);
        if (head + body > MAX_REQUEST) return -1;
        if (c->used < head + body) return 0;
        if (answer(fd, c->data, c->data + head, body)) return -1;
        c->used -= head + body;
        memmove(c->data, c->data + head + body, c->used);
    }
}

static int readable(int fd) {
    struct connection *c = &connections[fd];
    ssize_t got = recv(fd, c->data + c->used, MAX_REQUEST - c->used, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got == 0) return -1;
    c->used += (size_t)got;
    return serve(fd, c);
}

static void drop(int fd) {
    free(connections[fd].data);
    connections[fd] = (struct connection){0};
    close(fd);
}

static void take(int listener, int poller) {
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (fd >= MAX_FDS) { close(fd); return; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[fd].data = malloc(MAX_REQUEST);
    if (!connections[fd].data) die("malloc");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) drop(fd);
}

static int listen_on(int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) die("bind");
    if (listen(fd, 1024)) die("listen");
    return fd;
}

static void describe(void) {
    char body[256];
    int size = snprintf(body, sizeof body,
        "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %ld.0\n",
        (long)time(NULL));
    snprintf(metrics, sizeof metrics,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s",
        size, body);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT REPLY_FILE STREAM_FILE\n", argv[0]);
        return 2;
    }
    reply = slurp(argv[2]);
    split(slurp(argv[3]));
    describe();
    int listener = listen_on(atoi(argv[1])), poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event)) die("epoll");
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) take(listener, poller);
            else if (readable(fd)) drop(fd);
        }
    }
}
