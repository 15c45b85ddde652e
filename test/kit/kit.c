#include "kit/kit.h"

#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct kit_test *tests, **tests_end = &tests;
static uint64_t seed;
static char tmp_root[64];

enum { EXIT_SKIP = 77 };

void kit_register(struct kit_test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

void kit_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    printf("#   %s:%d: ", file, line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void kit_skip(const char *reason)
{
    printf("# skip: %s\n", reason);
    fflush(stdout);
    _exit(EXIT_SKIP);
}

void kit_own_world(int namespaces)
{
    if (geteuid() != 0) {
        SKIP("needs root: makes namespaces");
    }
    CHECK_EQ(unshare(namespaces), 0);
    if (namespaces & CLONE_NEWNS) {
        CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    }
}

void kit_note(const char *fmt, ...)
{
    va_list ap;
    printf("# ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

uint64_t kit_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

const char *kit_tmpdir(void)
{
    return tmp_root;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void run_child(const struct kit_test *t)
{
    (void)setpgid(0, 0);
    t->fn();
    fflush(stdout);
    /* exit, not _exit: the leak checker of a sanitizer build runs at exit. */
    exit(0);
}

/* Returns the child's wait status, killing its process group after the limit. */
static int wait_limited(pid_t pid, int timeout_s)
{
    int status = 0;
    for (int ticks = 0; ticks < timeout_s * 200; ticks++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            (void)kill(-pid, SIGKILL);
            return status;
        }
        (void)usleep(ticks < 20 ? 500 : 5000);
    }
    printf("#   still running after %d s: killed\n", timeout_s);
    (void)kill(-pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return status;
}

static int run_one(const struct kit_test *t, int number, uint64_t base_seed)
{
    snprintf(tmp_root, sizeof tmp_root, "/tmp/berth-test.XXXXXX");
    if (!mkdtemp(tmp_root)) {
        perror("mkdtemp");
        return 1;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        seed = base_seed + (uint64_t)number * 0x9e3779b97f4a7c15u;
        run_child(t);
    }
    int timeout_s = t->timeout_s * (getenv("KIT_SLOW") ? 5 : 1);
    int status = wait_limited(pid, timeout_s);
    (void)nftw(tmp_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP;
    bool ok = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || skipped);
    if (WIFSIGNALED(status)) {
        printf("#   ended by signal %d (seed %llu)\n", WTERMSIG(status),
               (unsigned long long)base_seed);
    }
    printf("%sok %d - %s%s\n", ok ? "" : "not ", number, t->name, skipped ? " # SKIP" : "");
    return ok ? 0 : 1;
}

int kit_dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof in) == 0);
    struct timeval silence = {.tv_sec = 10};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence), 0);
    return fd;
}

int main(int argc, char **argv)
{
    const char *fixed = getenv("KIT_SEED");
    uint64_t base_seed = fixed ? strtoull(fixed, NULL, 10) : (uint64_t)time(NULL) * 2654435761u;
    int number = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# seed %llu\n", (unsigned long long)base_seed);
    for (const struct kit_test *t = tests; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1])) {
            continue;
        }
        failed += run_one(t, ++number, base_seed);
    }
    printf("1..%d\n", number);
    return failed ? 1 : 0;
}
