/* The word to a service manager: what arrives, and what a wrong socket is answered. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kit/kit.h"
#include "os/os_notify.h"

/* A manager's socket of that name. */
static int manager(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    CHECK(n < sizeof addr.sun_path);
    memcpy(addr.sun_path, name, n);
    if (name[0] == '@') {
        addr.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&addr,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
             0);
    return fd;
}

static struct span arrived(int fd, char *buffer, size_t size)
{
    ssize_t n = recv(fd, buffer, size, 0);
    return n < 0 ? SPAN_NULL : span_of(buffer, (size_t)n);
}

TEST(a_path_and_an_abstract_name_hear_it)
{
    char dir[] = "/tmp/notify-XXXXXX", path[64], abstract[64], buffer[100];
    CHECK(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/socket", dir);
    (void)snprintf(abstract, sizeof abstract, "@berth-notify-test-%d", (int)getpid());
    const char *names[] = {path, abstract};
    for (size_t i = 0; i < 2; i++) {
        cleanup_close int fd = manager(names[i]);
        CHECK_EQ(os_notify(names[i], "READY=1\nSTATUS=serves"), 0);
        CHECK_SPAN(arrived(fd, buffer, sizeof buffer), "READY=1\nSTATUS=serves");
        CHECK_EQ(os_notify(names[i], "STOPPING=1"), 0);
        CHECK_SPAN(arrived(fd, buffer, sizeof buffer), "STOPPING=1");
    }
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(dir), 0);
}

TEST(the_name_is_taken_out_of_the_environment)
{
    (void)unsetenv("NOTIFY_SOCKET");
    CHECK(!os_notify_take());
    CHECK_EQ(setenv("NOTIFY_SOCKET", "", 1), 0);
    CHECK(!os_notify_take());
    CHECK_EQ(setenv("NOTIFY_SOCKET", "/run/notify", 1), 0);
    char *name = os_notify_take();
    CHECK(name && strcmp(name, "/run/notify") == 0);
    CHECK(!getenv("NOTIFY_SOCKET"));
    free(name);
}

TEST(a_wrong_socket_is_an_error_not_a_crash)
{
    char name[300];
    memset(name, 'a', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    CHECK_EQ(os_notify(name, "READY=1"), -ENAMETOOLONG);
    CHECK_EQ(os_notify("relative", "READY=1"), -EINVAL);
    CHECK_EQ(os_notify("", "READY=1"), -EINVAL);
    CHECK_EQ(os_notify("/nonexistent/socket", "READY=1"), -ENOENT);
}
