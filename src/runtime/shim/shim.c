/* Hides one mount from a program: shim MOUNT PROGRAM ARGUMENTS...
 *
 * crun before 1.9 refuses to run where a cgroup2 mount with controllers stands beside v1
 * controllers. This runs it in a mount namespace of its own where that mount is gone; the machine's
 * mounts and the monitor are not touched. It is on the path of every container start and every
 * probe, so it has no C library: half a millisecond, where the dynamic loader of the whole program
 * takes seven. runtime/runtime_crun_host.c carries it and writes it to DATA/run. */
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return ret;
}
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call shim_main\n hlt\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
                     : "memory", "cc");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x0, sp\n bl shim_main\n");
#else
/* Not used on other machines: the program's own subcommand takes its place. */
void _start(void);
void _start(void)
{
    for (;;) {
    }
}
#endif

#if defined(__x86_64__) || defined(__aarch64__)
enum { EXIT_SHIM = 127, STDERR = 2 };

static void fail(const char *text, unsigned long n)
{
    (void)call(SYS_write, STDERR, (long)text, (long)n, 0, 0);
    (void)call(SYS_exit_group, EXIT_SHIM, 0, 0, 0, 0);
}
#define FAIL(text) fail(text "\n", sizeof text)

void shim_main(long *stack);
void shim_main(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    char **envp = argv + argc + 1;
    if (argc < 3) {
        FAIL("shim: MOUNT PROGRAM ARGUMENTS...");
    }
    if (call(SYS_unshare, CLONE_NEWNS, 0, 0, 0, 0) != 0 ||
        call(SYS_mount, 0, (long)"/", 0, MS_REC | MS_SLAVE, 0) != 0) {
        FAIL("shim: cannot make a private mount namespace");
    }
    if (call(SYS_umount2, (long)argv[1], MNT_DETACH, 0, 0, 0) != 0) {
        FAIL("shim: cannot hide the cgroup2 mount");
    }
    (void)call(SYS_execve, (long)argv[2], (long)(argv + 2), (long)envp, 0, 0);
    FAIL("shim: cannot execute the runtime");
}
#endif
