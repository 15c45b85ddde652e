/* http/tls.h: TLS on env streams by OpenSSL, and the small PKI that Berth keeps for itself (P-256,
 * X.509 v3).
 *
 * A TLS stream is an env_stream wrapping another one; users cannot tell the difference. */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "base/arena.h"
#include "base/span.h"
#include "env/env.h"

struct tls_server;

/* PEM inputs. client_ca_pem (empty: none are asked for) verifies client certificates, which are
 * optional; one that does not verify counts as none, so that the layer above can answer in words.
 * TLS 1.2 and later, ALPN "h2" and "http/1.1". Streams keep what they need: the server may be freed
 * before them. Returns 0, or -EINVAL with a sentence in *ret_detail. */
int tls_server_new(struct span cert_chain_pem, struct span key_pem, struct span client_ca_pem,
                   struct arena *a, struct tls_server **ret, struct span *ret_detail);
void tls_server_free(struct tls_server *s);

/* Wraps an accepted stream, which the new one then owns. on_ready(data, 0, stream) once the
 * handshake is done, or on_ready(data, -code, NULL) after both streams were closed; never inside
 * this call. The stream returned is the one on_ready will bring: until then it may only be closed,
 * and no on_ready follows that. */
struct env_stream *tls_accept(struct tls_server *s, struct env_stream *inner,
                              env_connect_fn *on_ready, void *data);
/* Client side, for tests and benches: the program is only a server. ca_pem verifies the server,
 * cert/key (may be empty) authenticate us. */
struct tls_client;
int tls_client_new(struct span ca_pem, struct span cert_pem, struct span key_pem, struct arena *a,
                   struct tls_client **ret, struct span *ret_detail);
/* A client for health probes alone: it takes any server's certificate, as Kubernetes does, and
 * tells nothing but what the probe's author wrote. Nothing else may use it. */
struct tls_client *tls_client_new_unverified(void);
/* Offers HTTP/2 before HTTP/1.1 (by itself a client offers the latter alone). */
void tls_client_offer_http2(struct tls_client *c);
void tls_client_free(struct tls_client *c);
/* server_name: a DNS name or an IP address that the server's certificate must hold. As tls_accept.
 */
struct env_stream *tls_connect(struct tls_client *c, struct env_stream *inner,
                               const char *server_name, env_connect_fn *on_ready, void *data);
/* Subject of the verified peer certificate of a TLS stream; empty when there is none. */
struct span tls_peer_name(const struct env_stream *s);
struct span tls_peer_orgs(const struct env_stream *s); /* joined by '\n' */
/* SHA-256 of that certificate; empty when there is none. */
struct span tls_peer_fingerprint(const struct env_stream *s);
/* True when ALPN chose HTTP/2; false for streams that are not TLS. */
bool tls_is_http2(const struct env_stream *s);

/* ---- certificates ---- */

struct tls_pair {
    struct span cert_pem, key_pem;
};
/* A new self-signed CA, valid ten years from now_ms. */
int tls_make_ca(struct arena *a, struct span common_name, int64_t now_ms, struct tls_pair *ret);
/* A certificate signed by ca. dns and ips: subject alternative names (server), may be empty; orgs:
 * groups (client). */
struct tls_leaf {
    struct span common_name;
    const struct span *orgs, *dns, *ips;
    size_t org_count, dns_count, ip_count;
    bool is_server;
    int32_t valid_days;
};
int tls_make_leaf(struct arena *a, const struct tls_pair *ca, const struct tls_leaf *leaf,
                  int64_t now_ms, struct tls_pair *ret);
/* True when the certificate is signed by ca, holds all the names, matches its key and stays valid
 * for min_days more. */
bool tls_leaf_fits(struct arena *a, const struct tls_pair *ca, const struct tls_pair *pair,
                   const struct tls_leaf *leaf, int64_t now_ms, int32_t min_days);

#endif
