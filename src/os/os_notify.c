/* A word to the service manager. */
#include "os/os_notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/mem.h"

char *os_notify_take(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    char *taken = name && name[0] ? mem_strdup(name) : NULL;
    (void)unsetenv("NOTIFY_SOCKET");
    return taken;
}

int os_notify(const char *name, const char *state)
{
    assert(name);
    assert(state);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    if (name[0] != '/' && name[0] != '@') {
        return -EINVAL;
    }
    if (n >= sizeof addr.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(addr.sun_path, name, n);
    if (name[0] == '@') {
        addr.sun_path[0] = '\0'; /* abstract: no file */
    }
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    size_t len = strlen(state);
    ssize_t sent =
        sendto(fd, state, len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&addr,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    return sent < 0 ? -errno : 0;
}
