/* The PKI of http/tls.h: P-256 keys, X.509 v3 certificates, PEM in and out. No state. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "http/tls.h"
#include "http/tls_priv.h"

enum {
    CA_DAYS = 3650,
    SERIAL_BYTES = 16,
    BACKDATE_S = 300 /* clocks of clients may be a little behind ours */
};

CLEANUP_DEFINE(X509 *, X509_free)
CLEANUP_DEFINE(EVP_PKEY *, EVP_PKEY_free)
CLEANUP_DEFINE(BIO *, BIO_free_all)
CLEANUP_DEFINE(GENERAL_NAMES *, GENERAL_NAMES_free)
CLEANUP_DEFINE(BIGNUM *, BN_free)

BIO *tls_pem_bio(struct span pem)
{
    assert(pem.n < INT32_MAX);
    BIO *b = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    assert(b);
    return b;
}

static X509 *read_cert(struct span pem)
{
    BIO *b CLEANUP(cleanup_BIO_free_all_fn) = tls_pem_bio(pem);
    X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
    ERR_clear_error();
    return cert;
}

static EVP_PKEY *read_key(struct span pem)
{
    BIO *b CLEANUP(cleanup_BIO_free_all_fn) = tls_pem_bio(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    ERR_clear_error();
    return key;
}

static struct span bio_take(struct arena *a, BIO *b)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);
    assert(n > 0);
    assert(p);
    return arena_dup(a, span_of(p, (size_t)n));
}

static int write_pair(struct arena *a, X509 *cert, EVP_PKEY *key, struct tls_pair *ret)
{
    BIO *c CLEANUP(cleanup_BIO_free_all_fn) = BIO_new(BIO_s_mem());
    BIO *k CLEANUP(cleanup_BIO_free_all_fn) = BIO_new(BIO_s_secmem());
    if (!c || !k || PEM_write_bio_X509(c, cert) != 1 ||
        PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) != 1) {
        ERR_clear_error();
        return -EIO;
    }
    ret->cert_pem = bio_take(a, c);
    ret->key_pem = bio_take(a, k);
    return 0;
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, never zero */
    BIGNUM *n CLEANUP(cleanup_BN_free_fn) = BN_bin2bn(bytes, sizeof bytes, NULL);
    return n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
}

static bool set_times(X509 *cert, int64_t now_ms, int32_t days)
{
    assert(days > 0);
    int64_t now_s = now_ms / 1000;
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now_s - BACKDATE_S)) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(now_s + (int64_t)days * 86400));
}

static bool add_name(X509_NAME *name, const char *field, struct span value)
{
    return value.n < INT32_MAX &&
           X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value.p,
                                      (int)value.n, -1, 0) == 1;
}

static bool add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static X509 *begin_cert(EVP_PKEY *key, int64_t now_ms, int32_t days)
{
    X509 *cert = X509_new();
    if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
        set_times(cert, now_ms, days) && X509_set_pubkey(cert, key) == 1) {
        return cert;
    }
    X509_free(cert);
    return NULL;
}

int tls_make_ca(struct arena *a, struct span common_name, int64_t now_ms, struct tls_pair *ret)
{
    assert(a);
    assert(ret);
    assert(common_name.n > 0);
    EVP_PKEY *key CLEANUP(cleanup_EVP_PKEY_free_fn) = EVP_EC_gen("P-256");
    X509 *cert CLEANUP(cleanup_X509_free_fn) = key ? begin_cert(key, now_ms, CA_DAYS) : NULL;
    if (!cert || !add_name(X509_get_subject_name(cert), "CN", common_name) ||
        X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !add_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_ext(cert, cert, NID_key_usage,
                 "critical,digitalSignature,keyEncipherment,keyCertSign") ||
        !add_ext(cert, cert, NID_subject_key_identifier, "hash") ||
        X509_sign(cert, key, EVP_sha256()) <= 0) {
        ERR_clear_error();
        return -EIO;
    }
    return write_pair(a, cert, key, ret);
}

static bool add_alt(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = value ? GENERAL_NAME_new() : NULL;
    if (!name) {
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return true;
}

/* Built as structures, not as configuration text: a name can then never smuggle in another entry.
 */
static bool add_alt_names(struct arena *a, X509 *cert, const struct tls_leaf *leaf)
{
    if (leaf->dns_count + leaf->ip_count == 0) {
        return true;
    }
    GENERAL_NAMES *names CLEANUP(cleanup_GENERAL_NAMES_free_fn) = sk_GENERAL_NAME_new_null();
    if (!names) {
        return false;
    }
    for (size_t i = 0; i < leaf->dns_count; i++) {
        ASN1_IA5STRING *s = ASN1_IA5STRING_new();
        if (!s || ASN1_STRING_set(s, leaf->dns[i].p, (int)leaf->dns[i].n) != 1 ||
            !add_alt(names, GEN_DNS, s)) {
            return false;
        }
    }
    for (size_t i = 0; i < leaf->ip_count; i++) {
        if (!add_alt(names, GEN_IPADD, a2i_IPADDRESS(arena_cstr(a, leaf->ips[i])))) {
            return false;
        }
    }
    return X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
}

static bool fill_leaf(struct arena *a, X509 *cert, X509 *issuer, const struct tls_leaf *leaf)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    for (size_t i = 0; i < leaf->org_count; i++) {
        if (!add_name(subject, "O", leaf->orgs[i])) {
            return false;
        }
    }
    return add_name(subject, "CN", leaf->common_name) &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
           add_ext(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_ext(cert, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
           add_ext(cert, issuer, NID_ext_key_usage,
                   leaf->is_server ? "serverAuth" : "clientAuth") &&
           add_ext(cert, issuer, NID_authority_key_identifier, "keyid") &&
           add_alt_names(a, cert, leaf);
}

int tls_make_leaf(struct arena *a, const struct tls_pair *ca, const struct tls_leaf *leaf,
                  int64_t now_ms, struct tls_pair *ret)
{
    assert(a);
    assert(ca);
    assert(leaf);
    assert(ret);
    assert(leaf->common_name.n > 0);
    assert(leaf->valid_days > 0);
    X509 *issuer CLEANUP(cleanup_X509_free_fn) = read_cert(ca->cert_pem);
    EVP_PKEY *issuer_key CLEANUP(cleanup_EVP_PKEY_free_fn) = read_key(ca->key_pem);
    if (!issuer || !issuer_key || X509_check_private_key(issuer, issuer_key) != 1) {
        ERR_clear_error();
        return -EINVAL;
    }
    EVP_PKEY *key CLEANUP(cleanup_EVP_PKEY_free_fn) = EVP_EC_gen("P-256");
    X509 *cert CLEANUP(cleanup_X509_free_fn) =
        key ? begin_cert(key, now_ms, leaf->valid_days) : NULL;
    if (!cert || !fill_leaf(a, cert, issuer, leaf) ||
        X509_sign(cert, issuer_key, EVP_sha256()) <= 0) {
        ERR_clear_error();
        return -EINVAL; /* only a bad name or address can do this */
    }
    return write_pair(a, cert, key, ret);
}

/* ---- names out of a certificate ---- */

static struct span entry_text(X509_NAME *name, int at)
{
    const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    return span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

void tls_subject(X509 *cert, struct strbuf *ret_name, struct strbuf *ret_orgs)
{
    assert(cert);
    assert(ret_name);
    assert(ret_orgs);
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0) {
        strbuf_put(ret_name, entry_text(subject, at));
    }
    for (at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_organizationName, at)) >= 0;) {
        struct span org = entry_text(subject, at);
        if (span_find(org, '\n') == org.n) { /* the separator: such a name is no group */
            if (ret_orgs->n) {
                strbuf_putc(ret_orgs, '\n');
            }
            strbuf_put(ret_orgs, org);
        }
    }
}

void tls_fingerprint(X509 *cert, char ret[TLS_FINGERPRINT_BYTES])
{
    unsigned n = 0;
    int ok = X509_digest(cert, EVP_sha256(), (unsigned char *)ret, &n);
    assert(ok == 1);
    assert(n == TLS_FINGERPRINT_BYTES);
}

static bool holds_org(X509_NAME *subject, struct span org)
{
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_organizationName, at)) >= 0;) {
        if (span_eq(entry_text(subject, at), org)) {
            return true;
        }
    }
    return false;
}

static bool holds_names(struct arena *a, X509 *cert, const struct tls_leaf *leaf)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || !span_eq(entry_text(subject, at), leaf->common_name)) {
        return false;
    }
    for (size_t i = 0; i < leaf->org_count; i++) {
        if (!holds_org(subject, leaf->orgs[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < leaf->dns_count; i++) {
        if (X509_check_host(cert, leaf->dns[i].p, leaf->dns[i].n,
                            X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1) {
            return false;
        }
    }
    for (size_t i = 0; i < leaf->ip_count; i++) {
        if (X509_check_ip_asc(cert, arena_cstr(a, leaf->ips[i]), 0) != 1) {
            return false;
        }
    }
    return true;
}

bool tls_leaf_fits(struct arena *a, const struct tls_pair *ca, const struct tls_pair *pair,
                   const struct tls_leaf *leaf, int64_t now_ms, int32_t min_days)
{
    assert(a);
    assert(ca);
    assert(pair);
    assert(leaf);
    assert(min_days >= 0);
    X509 *issuer CLEANUP(cleanup_X509_free_fn) = read_cert(ca->cert_pem);
    X509 *cert CLEANUP(cleanup_X509_free_fn) = read_cert(pair->cert_pem);
    EVP_PKEY *key CLEANUP(cleanup_EVP_PKEY_free_fn) = read_key(pair->key_pem);
    if (!issuer || !cert || !key) {
        return false;
    }
    time_t now = (time_t)(now_ms / 1000), then = now + (time_t)min_days * 86400;
    bool ok = X509_check_private_key(cert, key) == 1 &&
              X509_check_issued(issuer, cert) == X509_V_OK &&
              X509_verify(cert, X509_get0_pubkey(issuer)) == 1 &&
              X509_cmp_time(X509_get0_notBefore(cert), &now) < 0 &&
              X509_cmp_time(X509_get0_notAfter(cert), &then) > 0 && holds_names(a, cert, leaf);
    ERR_clear_error();
    return ok;
}
