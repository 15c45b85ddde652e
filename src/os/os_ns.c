/* Namespaces. */
#include "os/os_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include "base/check.h"
#include "base/cleanup.h"

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

int os_sysctl_write(struct span name, struct span value)
{
    char path[512];
    int n = snprintf(path, sizeof path, "/proc/sys/%.*s", SPAN_ARG(name));
    assert(value.p || value.n == 0);
    if (n < 0 || (size_t)n >= sizeof path || name.n == 0) {
        return -ENAMETOOLONG;
    }
    /* In a name with slashes dots belong to the parts (net/ipv4/conf/eth0.1/forwarding). */
    bool slashes = span_find(name, '/') < name.n;
    for (char *p = path + sizeof "/proc/sys/" - 1; *p && !slashes; p++) {
        *p = *p == '.' ? '/' : *p;
    }
    if (strstr(path, "/../") || strstr(path, "//")) {
        return -EINVAL;
    }
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -errno;
    }
    ssize_t wrote = write(fd, value.p, value.n);
    return wrote == (ssize_t)value.n ? 0 : wrote < 0 ? -errno : -EIO;
}

static int loopback_up(void)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) != 0 ? -errno : 0;
}

static int pin_one(const char *kind, const char *path)
{
    if (!path) {
        return 0;
    }
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/thread-self/ns/%s", kind);
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    (void)close(fd);
    return mount(self, path, NULL, MS_BIND, NULL) == 0 ? 0 : -errno;
}

static int write_sysctls(struct os_ns_pin *pin)
{
    for (size_t i = 0; i < pin->sysctl_count; i++) {
        struct span value = pin->sysctls[i];
        struct span name = span_cut(&value, '=');
        int code = os_sysctl_write(name, value);
        if (code) {
            pin->failed = pin->sysctls[i];
            return code;
        }
    }
    return 0;
}

static int pin_run(struct os_ns_pin *pin)
{
    int flags = (pin->net ? CLONE_NEWNET : 0) | (pin->ipc ? CLONE_NEWIPC : 0) |
                (pin->uts ? CLONE_NEWUTS : 0);
    pin->failed = SPAN("unshare");
    if (unshare(flags) != 0) {
        return -errno;
    }
    pin->failed = SPAN("hostname");
    if (pin->uts && pin->hostname.n && sethostname(pin->hostname.p, pin->hostname.n) != 0) {
        return -errno;
    }
    pin->failed = SPAN("loopback link");
    int code = pin->net ? loopback_up() : 0;
    code = code ? code : write_sysctls(pin);
    if (code) {
        return code;
    }
    const char *kinds[] = {"net", "ipc", "uts"};
    const char *paths[] = {pin->net, pin->ipc, pin->uts};
    for (size_t i = 0; i < 3 && code == 0; i++) {
        pin->failed = span_cstr(paths[i]);
        code = pin_one(kinds[i], paths[i]);
    }
    return code;
}

struct pin_job {
    struct os_ns_pin *pin;
    int code;
};

static void *pin_thread(void *data)
{
    struct pin_job *job = data;
    job->code = pin_run(job->pin);
    return NULL;
}

int os_ns_pin(struct os_ns_pin *pin)
{
    struct pin_job job = {.pin = pin};
    pthread_t thread;
    int code = pthread_create(&thread, NULL, pin_thread, &job);
    if (code) {
        pin->failed = SPAN("thread");
        return -code;
    }
    code = pthread_join(thread, NULL);
    assert(code == 0);
    return job.code;
}

int os_ns_open(const char *path)
{
    assert(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -errno;
    }
    struct statfs st;
    if (fstatfs(fd, &st) != 0 || (unsigned long)st.f_type != NSFS_MAGIC) {
        (void)close(fd);
        return -EINVAL;
    }
    return fd;
}

int os_ns_run_in_net(int nsfd, int (*fn)(void *data), void *data)
{
    cleanup_close int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (back < 0 || setns(nsfd, CLONE_NEWNET) != 0) {
        return -errno;
    }
    int code = fn(data);
    int restored = setns(back, CLONE_NEWNET);
    assert(restored == 0);
    return code;
}
