/* main/data_dir.h: the data directory: its lock, certificates and kubeconfig.
 *
 *   DATA/lock            held by the running server (flock), with its pid inside
 *   DATA/berth.sock      control socket (root only)
 *   DATA/berth.db        the store
 *   DATA/tls/            ca, server, admin: .crt and .key; accounts.key signs tokens of accounts
 *   DATA/kubeconfig      administrator's access
 *   DATA/{images,run,net,volumes,logs,pods}  of image/, kubelet/, net/ */
#ifndef MAIN_DATA_DIR_H
#define MAIN_DATA_DIR_H

#include "base/arena.h"
#include "http/tls.h"
#include "main/options.h"

/* Makes the directory and takes its lock. Returns the lock's descriptor, or -1 after a sentence:
 * who has it, or why not. */
int data_dir_lock(struct arena *a, struct span data_dir, struct span *ret_detail);

struct data_dir_pki {
    struct tls_pair ca, server, admin;
    struct span accounts_key; /* PEM */
};
/* Loads what is there and still fits (names, 30 days left), makes the rest. gateway may be empty.
 * 0, or -1 with a sentence. */
int data_dir_pki(struct arena *a, const struct options *o, struct span gateway,
                 struct span service_ip, int64_t now_ms, struct data_dir_pki *ret,
                 struct span *ret_detail);
/* Writes the kubeconfig, mode 0600, when its content differs. */
int data_dir_kubeconfig(struct arena *a, const struct options *o, const struct data_dir_pki *pki,
                        struct span *ret_detail);
/* The kubeconfig of somebody else, with a certificate signed now, as text. -1 with a sentence: no
 * server has made its authority in the data directory yet, or it cannot be read. */
int data_dir_user(struct arena *a, const struct options *o, struct span user,
                  const struct span *groups, size_t group_count, int64_t now_ms,
                  struct span *ret_text, struct span *ret_detail);
/* "https://127.0.0.1:6443": the bind address, or loopback when that is 0.0.0.0 or ::. */
struct span data_dir_url(struct arena *a, const struct options *o);

#endif
