/* The filter of system calls that RuntimeDefault means: what programs need is allowed, by purpose;
 * what changes the machine needs the capability that the kernel asks for as well; everything else
 * fails with EPERM. In the spirit of the profiles that container engines ship. */
#include <errno.h>

#include "base/check.h"
#include "codec/json.h"
#include "runtime/oci_config.h"

/* Names in one string: a space between two. What a kernel or libseccomp does not know, crun skips.
 */
static const char *const always[] = {
    /* files and directories */
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown "
    "fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr "
    "fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd "
    "getdents getdents64 getxattr getxattrat ioctl lchown lchown32 lgetxattr link linkat listxattr "
    "listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod "
    "mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 "
    "pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv removexattr "
    "removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice "
    "stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range sync_file_range2 "
    "syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes "
    "vmsplice write writev cachestat",
    /* waiting for many things at once */
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 "
    "io_setup io_submit _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select "
    "signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
    "timerfd_settime64",
    /* memory */
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 "
    "mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc "
    "pkey_free pkey_mprotect process_mrelease remap_file_pages shmat shmctl shmdt shmget",
    /* messages, semaphores, locks */
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list ipc "
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd rseq semctl semget semop "
    "semtimedop semtimedop_time64 set_robust_list",
    /* processes and threads */
    "arch_prctl arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush capget capset "
    "execve execveat exit exit_group fork get_thread_area getpgid getpgrp getpid getppid "
    "getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self modify_ldt pause pidfd_open "
    "pidfd_send_signal prctl prlimit64 ptrace restart_syscall riscv_hwprobe rt_sigaction "
    "rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min "
    "sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler sched_yield seccomp set_thread_area set_tid_address set_tls setpgid "
    "setpriority setrlimit setsid sigaction sigaltstack signal sigpending sigprocmask sigreturn "
    "sigsuspend tgkill tkill ugetrlimit vfork wait4 waitid waitpid",
    /* users and groups */
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid "
    "getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 "
    "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid "
    "setresuid32 setreuid setreuid32 setuid setuid32",
    /* network */
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall "
    "socketpair",
    /* clocks, chance and the machine */
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 getcpu getitimer getrandom "
    "gettimeofday nanosleep setitimer sysinfo time timer_create timer_delete timer_getoverrun "
    "timer_gettime timer_gettime64 timer_settime timer_settime64 times uname",
};

/* A privilege that the kernel asks for anyway: without the filter, the capability decides. */
static const struct {
    const char *capability, *names;
} privileged[] = {
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"SYS_ADMIN", "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
                  "mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd "
                  "setdomainname sethostname setns syslog umount umount2 unshare"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module finit_module init_module"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev"},
    {"SYS_RAWIO", "ioperm iopl"},
    {"SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"SYS_TTY_CONFIG", "vhangup"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYSLOG", "syslog"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
};

struct filter {
    yyjson_mut_doc *doc;
    yyjson_mut_val *rules;
};

/* One rule; NULL arguments allow the call with any. */
static yyjson_mut_val *rule(struct filter *f, const char *names, const char *action)
{
    yyjson_mut_val *r = yyjson_mut_arr_add_obj(f->doc, f->rules);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(f->doc, r, "names");
    struct span rest = span_cstr(names);
    while (rest.n > 0) {
        struct span name = span_cut(&rest, ' ');
        (void)yyjson_mut_arr_add_strn(f->doc, list, name.p, name.n);
    }
    json_put_str(f->doc, r, "action", span_cstr(action));
    return r;
}

static void argument(struct filter *f, yyjson_mut_val *r, const char *op, uint64_t value,
                     uint64_t value_two)
{
    yyjson_mut_val *arg = yyjson_mut_arr_add_obj(f->doc, yyjson_mut_obj_add_arr(f->doc, r, "args"));
    json_put_int(f->doc, arg, "index", 0);
    json_put_int(f->doc, arg, "value", (int64_t)value);
    json_put_int(f->doc, arg, "valueTwo", (int64_t)value_two);
    json_put_str(f->doc, arg, "op", span_cstr(op));
}

/* Allowed with some arguments only. */
static void put_partial(struct filter *f, bool is_admin)
{
    /* PER_LINUX, PER_LINUX32, both with UNAME26, and the question */
    static const uint64_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
    for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++) {
        argument(f, rule(f, "personality", "SCMP_ACT_ALLOW"), "SCMP_CMP_EQ", personalities[i], 0);
    }
    enum { AF_VSOCK_NUMBER = 40 }; /* speaks to the hypervisor, past every network namespace */
    argument(f, rule(f, "socket", "SCMP_ACT_ALLOW"), "SCMP_CMP_NE", AF_VSOCK_NUMBER, 0);
    if (!is_admin) {
        /* No new namespace. clone3 hides its flags behind a pointer: the C library falls back to
         * clone when it is told that there is none. */
        enum { CLONE_NEW_ANY = 0x7e020000 };
        argument(f, rule(f, "clone", "SCMP_ACT_ALLOW"), "SCMP_CMP_MASKED_EQ", CLONE_NEW_ANY, 0);
        json_put_int(f->doc, rule(f, "clone3", "SCMP_ACT_ERRNO"), "errnoRet", ENOSYS);
    }
}

static void put_architectures(yyjson_mut_doc *doc, yyjson_mut_val *seccomp)
{
#if defined(__x86_64__)
    static const char *const names[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"};
#elif defined(__aarch64__)
    static const char *const names[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#else
    static const char *const names[] = {"SCMP_ARCH_NATIVE"};
#endif
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, seccomp, "architectures");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)yyjson_mut_arr_add_str(doc, list, names[i]);
    }
}

void oci_seccomp_default(yyjson_mut_doc *doc, yyjson_mut_val *linux_obj, uint64_t capabilities)
{
    yyjson_mut_val *seccomp = yyjson_mut_obj_add_obj(doc, linux_obj, "seccomp");
    json_put_str(doc, seccomp, "defaultAction", SPAN("SCMP_ACT_ERRNO"));
    json_put_int(doc, seccomp, "defaultErrnoRet", EPERM);
    put_architectures(doc, seccomp);
    struct filter f = {doc, yyjson_mut_obj_add_arr(doc, seccomp, "syscalls")};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        (void)rule(&f, always[i], "SCMP_ACT_ALLOW");
    }
    for (size_t i = 0; i < sizeof privileged / sizeof *privileged; i++) {
        int number = oci_capability(span_cstr(privileged[i].capability));
        assert(number >= 0);
        if (capabilities >> number & 1) {
            (void)rule(&f, privileged[i].names, "SCMP_ACT_ALLOW");
        }
    }
    put_partial(&f, capabilities >> oci_capability(SPAN("SYS_ADMIN")) & 1);
}
