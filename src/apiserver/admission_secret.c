/* Secrets of type kubernetes.io/service-account-token: one that names an account which is there
 * gets what is missing of the account's uid, the CA, the namespace and a token that lasts as long
 * as the Secret, whenever it is written. One whose account is not there is left as it is: the
 * controller of such Secrets deletes it. */
#include "apiserver/admission.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "codec/base64.h"
#include "token/token.h"

#define NAME "kubernetes.io/service-account.name"
#define UID "kubernetes.io/service-account.uid"

static void put_data(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *data, const char *key,
                     struct span bytes)
{
    if (!json_mut_get(data, key) && bytes.n) {
        json_put_str(doc, data, key, base64(op->arena, bytes));
    }
}

static struct span token_for(struct api_op *op, struct object *account)
{
    const struct token_claims c = {
        .issuer = SPAN(TOKEN_OLD_ISSUER),
        .subject = arena_printf(op->arena, "system:serviceaccount:%.*s:%.*s", SPAN_ARG(op->ns),
                                SPAN_ARG(object_name(account))),
        .ns = op->ns,
        .secret = {.name = op->name},
        .account = {object_name(account), object_uid(account)}};
    return token_sign(op->arena, op->server->token_key, &c);
}

void admission_secret(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    struct apiserver *s = op->server;
    yyjson_mut_val *notes = json_mut_get(json_mut_get(obj, "metadata"), "annotations");
    struct span name = json_mut_str(json_mut_get(notes, NAME));
    struct span uid = json_mut_str(json_mut_get(notes, UID));
    if (!s->token_key || !name.n ||
        !span_eq(json_mut_str(json_mut_get(obj, "type")),
                 SPAN("kubernetes.io/service-account-token"))) {
        return;
    }
    assert(op->ns.n);
    assert(op->name.n);
    struct object *account = api_peek(s, op->arena, "serviceaccounts", op->ns, name);
    if (!account || (uid.n && !span_eq(uid, object_uid(account)))) {
        return;
    }
    yyjson_mut_val *data = json_mut_obj(doc, obj, "data");
    json_put_str(doc, notes, UID, arena_dup(op->arena, object_uid(account)));
    put_data(op, doc, data, "ca.crt", s->options.root_ca);
    put_data(op, doc, data, "namespace", op->ns);
    if (!json_mut_get(data, "token")) {
        put_data(op, doc, data, "token", token_for(op, account));
    }
}
