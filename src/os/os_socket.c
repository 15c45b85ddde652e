/* Unix sockets. */
#include "os/os_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "os/os_ns.h"

/* A socket and the address of `name` in that directory, which is named by its descriptor (returned
 * by *ret_dirfd, to be open until the address has been used): an address has 108 bytes. */
static int open_at(const char *dir, const char *name, int type, struct sockaddr_un *addr,
                   int *ret_dirfd)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dirfd < 0) {
        return -errno;
    }
    int n =
        snprintf(addr->sun_path, sizeof addr->sun_path, "/proc/self/fd/%d/%s", *ret_dirfd, name);
    if (n < 0 || (size_t)n >= sizeof addr->sun_path) {
        return -ENAMETOOLONG;
    }
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int os_socket_listen_at(const char *dir, const char *name)
{
    assert(dir);
    assert(name);
    struct sockaddr_un addr;
    cleanup_close int dirfd = -1;
    cleanup_close int fd = open_at(dir, name, SOCK_STREAM, &addr, &dirfd);
    if (fd < 0) {
        return fd;
    }
    if (bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 1) != 0) {
        return -errno;
    }
    return TAKE_FD(fd);
}

int os_socket_connect_packets(const char *dir, const char *name)
{
    assert(dir);
    assert(name);
    struct sockaddr_un addr;
    cleanup_close int dirfd = -1;
    cleanup_close int fd = open_at(dir, name, SOCK_SEQPACKET | SOCK_NONBLOCK, &addr, &dirfd);
    if (fd < 0) {
        return fd;
    }
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0) {
        return -errno;
    }
    return TAKE_FD(fd);
}

static int receive(int sock)
{
    char byte[64], control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {byte, sizeof byte};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n;
    do {
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len < CMSG_LEN(sizeof(int))) {
        return -EPROTO;
    }
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int os_socket_receive_fd(int listener, int cancel, int timeout_ms)
{
    assert(listener >= 0);
    assert(timeout_ms >= 0);
    struct pollfd p[2] = {{.fd = listener, .events = POLLIN}, {.fd = cancel, .events = POLLIN}};
    int n = poll(p, 2, timeout_ms);
    if (n <= 0) {
        return n < 0 ? -errno : -ETIMEDOUT;
    }
    if (!p[0].revents) {
        return -ECANCELED;
    }
    cleanup_close int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return sock < 0 ? -errno : receive(sock);
}

struct loopback {
    uint16_t port;
    int timeout_ms;
};

/* The socket belongs to the namespace in which it is made, wherever its thread goes afterwards. */
static int connect_loopback(void *data)
{
    const struct loopback *l = data;
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons(l->port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0) {
        return TAKE_FD(fd);
    }
    if (errno != EINPROGRESS) {
        return -errno;
    }
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;
    do {
        n = poll(&p, 1, l->timeout_ms);
    } while (n < 0 && errno == EINTR);
    int error = 0;
    socklen_t size = sizeof error;
    if (n <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return n == 0 ? -ETIMEDOUT : -errno;
    }
    return error ? -error : TAKE_FD(fd);
}

int os_socket_connect_loopback(int nsfd, uint16_t port, int timeout_ms)
{
    assert(port > 0);
    assert(timeout_ms >= 0);
    struct loopback l = {.port = port, .timeout_ms = timeout_ms};
    return nsfd < 0 ? connect_loopback(&l) : os_ns_run_in_net(nsfd, connect_loopback, &l);
}

int os_socket_claim(struct span name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    assert(name.n > 0);
    assert(name.n <= 100);
    memcpy(addr.sun_path + 1, name.p, name.n); /* an abstract one: no file */
    int fd cleanup_close = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name.n);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, size) != 0) {
        return -errno;
    }
    return TAKE_FD(fd);
}
