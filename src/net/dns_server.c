#include "net/dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/dns_priv.h"

enum { UDP_BURST = 64, EVENTS_MAX = 32 };

static int64_t mono_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int dns_watch(struct dns_server *s, struct dns_source *source, uint32_t events, bool again)
{
    assert(source);
    struct epoll_event e = {.events = events, .data.ptr = source};
    return epoll_ctl(s->epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, &e) != 0 ? -errno
                                                                                           : 0;
}

/* ---- UDP ---- */

void dns_reply_udp(struct dns_server *s, const struct sockaddr_in *to, const uint8_t *p, size_t n)
{
    assert(p);
    assert(n > 0);
    (void)!sendto(s->udp.fd, p, n, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof *to);
}

static void on_udp(struct dns_server *s)
{
    static const struct sockaddr_in zero;
    uint8_t in[4096], out[LIMIT_DNS_UDP_BYTES];
    for (int i = 0; i < UDP_BURST; i++) {
        struct sockaddr_in from = zero;
        socklen_t from_n = sizeof from;
        ssize_t n =
            recvfrom(s->udp.fd, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&from, &from_n);
        size_t out_n;
        if (n < 0) {
            return;
        }
        switch (dns_zone_answer(s->zone, span_of(in, (size_t)n), (const uint8_t *)&from.sin_addr,
                                false, out, &out_n)) {
        case DNS_ANSWERED:
            dns_reply_udp(s, &from, out, out_n);
            break;
        case DNS_FORWARD:
            dns_forward_start(s, span_of(in, (size_t)n), SPAN_NULL, &from, NULL);
            break;
        case DNS_ALIAS:
            dns_forward_start(s, span_of(out, out_n), span_of(in, (size_t)n), &from, NULL);
            break;
        case DNS_IGNORE:
            break;
        }
    }
}

/* ---- TCP ---- */

static void client_close(struct dns_server *s, struct dns_client *c)
{
    if (c->source.fd >= 0) {
        (void)close(c->source.fd);
        free(c->in);
        *c =
            (struct dns_client){.source = {DNS_SOURCE_CLIENT, -1}, .generation = c->generation + 1};
        s->clients_open--;
    }
}

void dns_reply_tcp(struct dns_server *s, struct dns_client *c, const uint8_t *p, size_t n)
{
    assert(p);
    assert(n > 0);
    assert(n <= LIMIT_DNS_TCP_BYTES);
    uint8_t head[2] = {(uint8_t)(n >> 8), (uint8_t)n};
    struct iovec iov[2] = {{head, 2}, {(void *)(uintptr_t)p, n}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    /* An answer fits in a socket's buffer; a client that lets it fill up is dropped. */
    if (sendmsg(c->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(n + 2)) {
        client_close(s, c);
    }
}

static void on_accept(struct dns_server *s)
{
    struct sockaddr_in from = {0};
    socklen_t from_n = sizeof from;
    int fd = accept4(s->listen.fd, (struct sockaddr *)&from, &from_n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    for (size_t i = 0; i < DNS_TCP_CLIENTS_MAX; i++) {
        struct dns_client *c = &s->clients[i];
        if (c->source.fd < 0) {
            c->source.fd = fd;
            c->from = from.sin_addr;
            c->in = mem_new(LIMIT_DNS_TCP_BYTES + 2);
            c->deadline_ms = s->now_ms + DNS_TCP_IDLE_MS;
            s->clients_open++;
            if (dns_watch(s, &c->source, EPOLLIN, false) < 0) {
                client_close(s, c);
            }
            return;
        }
    }
    (void)close(fd);
}

static void client_message(struct dns_server *s, struct dns_client *c, struct span message)
{
    uint8_t *out = mem_new(LIMIT_DNS_TCP_BYTES);
    size_t out_n;
    switch (dns_zone_answer(s->zone, message, (const uint8_t *)&c->from, true, out, &out_n)) {
    case DNS_ANSWERED:
        dns_reply_tcp(s, c, out, out_n);
        break;
    case DNS_FORWARD:
        dns_forward_start(s, message, SPAN_NULL, NULL, c);
        break;
    case DNS_ALIAS:
        dns_forward_start(s, span_of(out, out_n), message, NULL, c);
        break;
    case DNS_IGNORE:
        client_close(s, c);
        break;
    }
    free(out);
}

static void on_client(struct dns_server *s, struct dns_client *c)
{
    ssize_t n = read(c->source.fd, c->in + c->in_n, LIMIT_DNS_TCP_BYTES + 2 - c->in_n);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            client_close(s, c);
        }
        return;
    }
    c->in_n += (size_t)n;
    c->deadline_ms = s->now_ms + DNS_TCP_IDLE_MS;
    while (c->source.fd >= 0 && c->in_n >= 2) {
        size_t want = (size_t)(c->in[0] << 8 | c->in[1]);
        if (c->in_n < want + 2) {
            return;
        }
        client_message(s, c, span_of(c->in + 2, want));
        if (c->source.fd >= 0) {
            memmove(c->in, c->in + 2 + want, c->in_n - 2 - want);
            c->in_n -= 2 + want;
        }
    }
}

/* ---- the loop ---- */

/* Ends what is late; returns the wait until the next deadline, -1 for none. */
static int expire(struct dns_server *s)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; s->clients_open && i < DNS_TCP_CLIENTS_MAX; i++) {
        struct dns_client *c = &s->clients[i];
        if (c->source.fd >= 0 && c->deadline_ms <= s->now_ms) {
            client_close(s, c);
        } else if (c->source.fd >= 0 && c->deadline_ms < next) {
            next = c->deadline_ms;
        }
    }
    for (size_t i = 0; s->forwards_open && i < DNS_FORWARDS_MAX; i++) {
        struct dns_forward *f = &s->forwards[i];
        if (f->source.fd >= 0 && f->deadline_ms <= s->now_ms) {
            dns_forward_late(s, f);
        }
        if (f->source.fd >= 0 && f->deadline_ms < next) {
            next = f->deadline_ms;
        }
    }
    if (next == INT64_MAX) {
        return -1;
    }
    return next > s->now_ms ? (int)(next - s->now_ms) : 0;
}

static void *dns_main(void *arg)
{
    struct dns_server *s = arg;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        s->now_ms = mono_ms();
        int n = epoll_wait(s->epoll, events, EVENTS_MAX, expire(s));
        s->now_ms = mono_ms();
        for (int i = 0; i < n; i++) {
            struct dns_source *source = events[i].data.ptr;
            if (source->fd < 0) {
                continue; /* closed by an event before it */
            }
            switch (source->kind) {
            case DNS_SOURCE_UDP:
                on_udp(s);
                break;
            case DNS_SOURCE_LISTEN:
                on_accept(s);
                break;
            case DNS_SOURCE_CLIENT:
                on_client(s, (struct dns_client *)source);
                break;
            case DNS_SOURCE_FORWARD:
                dns_forward_event(s, (struct dns_forward *)source, events[i].events);
                break;
            case DNS_SOURCE_STOP:
                return NULL;
            }
        }
    }
}

static int open_socket(struct dns_server *s, struct dns_source *source, int type, uint16_t port)
{
    int one = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = s->own_address};
    source->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (source->fd < 0 || setsockopt(source->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(source->fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        return -errno;
    }
    if (type == SOCK_STREAM && listen(source->fd, DNS_TCP_CLIENTS_MAX) != 0) {
        return -errno;
    }
    socklen_t n = sizeof at;
    if (getsockname(source->fd, (struct sockaddr *)&at, &n) != 0) {
        return -errno;
    }
    s->port = ntohs(at.sin_port);
    return dns_watch(s, source, EPOLLIN, false);
}

static void release(struct dns_server *s)
{
    for (size_t i = 0; i < DNS_TCP_CLIENTS_MAX; i++) {
        client_close(s, &s->clients[i]);
    }
    for (size_t i = 0; i < DNS_FORWARDS_MAX; i++) {
        dns_forward_close(s, &s->forwards[i]);
    }
    const int fds[] = {s->udp.fd, s->listen.fd, s->stop.fd, s->epoll};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    free((void *)(uintptr_t)s->resolv_conf);
    free(s);
}

int dns_server_start(struct dns_zone *zone, const struct dns_server_options *options,
                     struct dns_server **ret)
{
    assert(zone);
    assert(ret);
    struct dns_server *s = MEM_NEW(struct dns_server);
    s->zone = zone;
    s->udp = (struct dns_source){DNS_SOURCE_UDP, -1};
    s->listen = (struct dns_source){DNS_SOURCE_LISTEN, -1};
    s->stop = (struct dns_source){DNS_SOURCE_STOP, eventfd(0, EFD_CLOEXEC)};
    s->resolv_conf = mem_strdup(options->resolv_conf);
    for (size_t i = 0; i < DNS_TCP_CLIENTS_MAX; i++) {
        s->clients[i].source = (struct dns_source){DNS_SOURCE_CLIENT, -1};
    }
    for (size_t i = 0; i < DNS_FORWARDS_MAX; i++) {
        s->forwards[i].source = (struct dns_source){DNS_SOURCE_FORWARD, -1};
    }
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    int code = inet_pton(AF_INET, options->address, &s->own_address) == 1 ? 0 : -EINVAL;
    code = code < 0 ? code : open_socket(s, &s->udp, SOCK_DGRAM, options->port);
    code = code < 0 ? code : open_socket(s, &s->listen, SOCK_STREAM, s->port);
    code = code < 0 ? code : dns_watch(s, &s->stop, EPOLLIN, false);
    if (code == 0) {
        code = -pthread_create(&s->thread, NULL, dns_main, s);
    }
    if (code < 0) {
        release(s);
        return code;
    }
    (void)pthread_setname_np(s->thread, "dns");
    *ret = s;
    return 0;
}

void dns_server_stop(struct dns_server *s)
{
    if (s) {
        uint64_t one = 1;
        (void)!write(s->stop.fd, &one, sizeof one);
        (void)pthread_join(s->thread, NULL);
        release(s);
    }
}
