/* Keys and signatures of token.h: what needs OpenSSL. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "token/token_priv.h"

CLEANUP_DEFINE(EVP_PKEY *, EVP_PKEY_free)
CLEANUP_DEFINE(EVP_MD_CTX *, EVP_MD_CTX_free)
CLEANUP_DEFINE(BIO *, BIO_free_all)
CLEANUP_DEFINE(ECDSA_SIG *, ECDSA_SIG_free)
CLEANUP_DEFINE(BIGNUM *, BN_free)

struct token_key {
    EVP_PKEY *pkey;
    struct arena *arena;
    struct span id;
};

enum { HALF = TOKEN_SIGNATURE_BYTES / 2, DER_MAX = TOKEN_SIGNATURE_BYTES + 16 };

int token_key_make(struct arena *a, struct span *ret_pem)
{
    EVP_PKEY *key CLEANUP(cleanup_EVP_PKEY_free_fn) = EVP_EC_gen("P-256");
    BIO *b CLEANUP(cleanup_BIO_free_all_fn) = BIO_new(BIO_s_secmem());
    char *p = NULL;
    if (!key || !b || PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1) {
        ERR_clear_error();
        return -EIO;
    }
    long n = BIO_get_mem_data(b, &p);
    assert(n > 0);
    assert(p);
    *ret_pem = arena_dup(a, span_of(p, (size_t)n));
    return 0;
}

/* As Kubernetes names a key: the hash of its public half. */
static struct span key_id(struct arena *a, EVP_PKEY *pkey)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(pkey, &der);
    char sum[TOKEN_HASH_BYTES];
    assert(n > 0);
    token_hash(span_of(der, (size_t)n), sum);
    OPENSSL_free(der);
    return base64url(a, span_of(sum, sizeof sum));
}

struct token_key *token_key_load(struct span pem)
{
    char group[32] = "";
    BIO *b CLEANUP(cleanup_BIO_free_all_fn) =
        pem.n < INT32_MAX ? BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n) : NULL;
    EVP_PKEY *pkey = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
    ERR_clear_error();
    if (!pkey || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1 ||
        !span_eq_cstr(SPAN("prime256v1"), group)) {
        EVP_PKEY_free(pkey);
        ERR_clear_error();
        return NULL;
    }
    struct token_key *k = MEM_NEW(struct token_key);
    k->pkey = pkey;
    k->arena = arena_new_small();
    k->id = key_id(k->arena, pkey);
    return k;
}

void token_key_free(struct token_key *k)
{
    if (k) {
        EVP_PKEY_free(k->pkey);
        arena_free(k->arena);
        free(k);
    }
}

struct span token_key_id(const struct token_key *k)
{
    return k->id;
}

static struct span coordinate(struct arena *a, const struct token_key *k, const char *name)
{
    char bytes[HALF];
    BIGNUM *n = NULL;
    int ok = EVP_PKEY_get_bn_param(k->pkey, name, &n);
    BIGNUM *held CLEANUP(cleanup_BN_free_fn) = n;
    assert(ok == 1);
    assert(held);
    ok = BN_bn2binpad(held, (unsigned char *)bytes, HALF);
    assert(ok == HALF);
    return base64url(a, span_of(bytes, HALF));
}

struct span token_key_jwks(struct arena *a, const struct token_key *k)
{
    return arena_printf(a,
                        "{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"%.*s\",\"crv\":"
                        "\"P-256\",\"alg\":\"ES256\",\"x\":\"%.*s\",\"y\":\"%.*s\"}]}",
                        SPAN_ARG(k->id), SPAN_ARG(coordinate(a, k, OSSL_PKEY_PARAM_EC_PUB_X)),
                        SPAN_ARG(coordinate(a, k, OSSL_PKEY_PARAM_EC_PUB_Y)));
}

void token_hash(struct span bytes, char ret[TOKEN_HASH_BYTES])
{
    unsigned n = 0;
    int ok = EVP_Digest(bytes.p, bytes.n, (unsigned char *)ret, &n, EVP_sha256(), NULL);
    assert(ok == 1);
    assert(n == TOKEN_HASH_BYTES);
}

bool token_key_sign(const struct token_key *k, struct span text, char ret[TOKEN_SIGNATURE_BYTES])
{
    unsigned char der[DER_MAX];
    const unsigned char *at = der;
    size_t n = sizeof der;
    EVP_MD_CTX *ctx CLEANUP(cleanup_EVP_MD_CTX_free_fn) = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1 ||
        EVP_DigestSign(ctx, der, &n, (const unsigned char *)text.p, text.n) != 1) {
        ERR_clear_error();
        return false;
    }
    ECDSA_SIG *sig CLEANUP(cleanup_ECDSA_SIG_free_fn) = d2i_ECDSA_SIG(NULL, &at, (long)n);
    return sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), (unsigned char *)ret, HALF) == HALF &&
           BN_bn2binpad(ECDSA_SIG_get0_s(sig), (unsigned char *)ret + HALF, HALF) == HALF;
}

/* The two numbers as DER; 0: they are none. */
static size_t to_der(struct span signature, unsigned char der[DER_MAX])
{
    const unsigned char *p = (const unsigned char *)signature.p;
    ECDSA_SIG *sig CLEANUP(cleanup_ECDSA_SIG_free_fn) = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, HALF, NULL), *s = BN_bin2bn(p + HALF, HALF, NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    unsigned char *at = der;
    int n = i2d_ECDSA_SIG(sig, NULL);
    if (n <= 0 || n > DER_MAX) {
        return 0;
    }
    return (size_t)i2d_ECDSA_SIG(sig, &at);
}

bool token_key_verify(const struct token_key *k, struct span text, struct span signature)
{
    unsigned char der[DER_MAX];
    assert(signature.n == TOKEN_SIGNATURE_BYTES);
    size_t n = to_der(signature, der);
    EVP_MD_CTX *ctx CLEANUP(cleanup_EVP_MD_CTX_free_fn) = EVP_MD_CTX_new();
    bool good = n && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
                EVP_DigestVerify(ctx, der, n, (const unsigned char *)text.p, text.n) == 1;
    ERR_clear_error();
    return good;
}
