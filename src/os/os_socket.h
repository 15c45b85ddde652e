/* os/os_socket.h: Unix sockets that env's streams do not cover: paths of any length, packets,
 * passed descriptors, sockets of other network namespaces. */
#ifndef OS_OS_SOCKET_H
#define OS_OS_SOCKET_H

#include <stdint.h>

#include "base/span.h"

/* Binds and listens at dir/name, however long dir is. Returns the descriptor or a negative errno.
 */
int os_socket_listen_at(const char *dir, const char *name);
/* Connects to the SOCK_SEQPACKET socket dir/name. Returns a non-blocking descriptor or a negative
 * errno. */
int os_socket_connect_packets(const char *dir, const char *name);
/* [blocking] Waits for one connection on listener and the descriptor that it passes, at most
 * timeout_ms or until cancel (an eventfd) is readable. Returns the descriptor, -ETIMEDOUT,
 * -ECANCELED or another negative errno. */
int os_socket_receive_fd(int listener, int cancel, int timeout_ms);

/* [blocking] Connects to 127.0.0.1:port inside the network namespace nsfd (-1: the thread's own),
 * waiting at most timeout_ms. Returns a non-blocking descriptor or a negative errno. */
int os_socket_connect_loopback(int nsfd, uint16_t port, int timeout_ms);

/* Takes a name (up to 100 bytes) for this process among all of its network namespace, until the
 * descriptor that is returned is closed. -EADDRINUSE: another has it. */
int os_socket_claim(struct span name);

#endif
