/* http/tls_priv.h: shared by tls_pki.c and tls_stream.c. */
#ifndef HTTP_TLS_PRIV_H
#define HTTP_TLS_PRIV_H

#include <openssl/bio.h>
#include <openssl/x509.h>

#include "base/span.h"
#include "base/strbuf.h"

enum { TLS_FINGERPRINT_BYTES = 32 };

/* A read-only BIO over the span, which must outlive it. */
BIO *tls_pem_bio(struct span pem);
/* Appends the common name, and the organisations joined by '\n'. */
void tls_subject(X509 *cert, struct strbuf *ret_name, struct strbuf *ret_orgs);
/* SHA-256 of the whole certificate. */
void tls_fingerprint(X509 *cert, char ret[TLS_FINGERPRINT_BYTES]);

#endif
