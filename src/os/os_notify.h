/* os/os_notify.h: a word to the service manager that started this process, as sd_notify(3) has it:
 * one datagram to the Unix socket that $NOTIFY_SOCKET names. */
#ifndef OS_OS_NOTIFY_H
#define OS_OS_NOTIFY_H

/* Takes the socket's name out of the environment: a child that inherited it could speak for us, and
 * crun would give it to containers. NULL: no manager wants to hear anything. To be freed. */
char *os_notify_take(void);
/* `state` is lines of NAME=VALUE, such as "READY=1\nSTATUS=serves". Returns 0, or a negative errno:
 * -EINVAL for a name that is neither a path nor abstract (@...), -ENAMETOOLONG. */
int os_notify(const char *name, const char *state);

#endif
