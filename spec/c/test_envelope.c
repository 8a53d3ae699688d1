/*
 * envelope.c: the splitter, with every document cut at every place, by every decoder that there is.
 *
 * In the documents written here ' stands for the quotation mark and ~ for a NUL byte, so that they
 * can be read. In those that are wrong, ^ stands before the byte at which the error is to be seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../fuzz/naive.h"
#include "base/alloc.h"
#include "splitter/envelope.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The gateway's shapes, lists whose elements are pictures, and a rule as deep as there can be. */
enum {
    PICTURE,
    ADDRESS,
    PROMPT,
    ERROR_MESSAGE,
    ERROR,
    DETAIL,
    LISTED,
    DEEP,
    DEEPEST,
    CHAT,
    CHAT_SINGLE,
    CONTENT,
    PART,
    PART_URL,
    PART_TEXT,
    INLINE,
    GEMINI_TEXT,
    URLS,
    PROSE,
    EVENT,
    EVENT_TYPE,
    THOUGHT,
    RULES
};

static const struct tc_rule rules[RULES] = {
    [PICTURE] = {TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}},
    [ADDRESS] = {TC_CAPTURE_DATA_URL, {"data", "[]", "url|image_url"}},
    [PROMPT] = {TC_CAPTURE_TEXT, {"data", "[]", "revised_prompt"}},
    [ERROR_MESSAGE] = {TC_CAPTURE_TEXT, {"error", "message"}},
    [ERROR] = {TC_CAPTURE_TEXT, {"error"}},
    [DETAIL] = {TC_CAPTURE_TEXT, {"detail", "[]", "msg"}},
    [LISTED] = {TC_CAPTURE_BASE64, {"images", "[]"}},
    [DEEP] = {TC_CAPTURE_TEXT, {"a", "b", "[]", "c", "d"}},
    [DEEPEST] = {TC_CAPTURE_TEXT, {"8", "7", "6", "5", "4", "3", "2", "1"}},
    [CHAT] = {TC_CAPTURE_DATA_URL,
              {"choices", "[]", "message", "images", "[]", "image_url", "url"}},
    [CHAT_SINGLE] = {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "image", "url"}},
    [CONTENT] = {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content"}},
    [PART] = {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "content", "[]", "image_url"}},
    [PART_URL] = {TC_CAPTURE_DATA_URL,
                  {"choices", "[]", "message", "content", "[]", "image_url", "url"}},
    [PART_TEXT] = {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content", "[]", "text"}},
    [INLINE] = {TC_CAPTURE_BASE64,
                {"candidates", "[]", "content", "parts", "[]", "inlineData|inline_data", "data"}},
    [GEMINI_TEXT] = {TC_CAPTURE_PROSE, {"candidates", "[]", "content", "parts", "[]", "text"}},
    [URLS] = {TC_CAPTURE_DATA_URL, {"urls", "[]"}},
    [PROSE] = {TC_CAPTURE_PROSE, {"prose", "[]"}},
    [EVENT] = {TC_CAPTURE_BASE64, {"b64_json"}},
    [EVENT_TYPE] = {TC_CAPTURE_DRAFT, {"type"}},
    [THOUGHT] = {TC_CAPTURE_DRAFT, {"candidates", "[]", "content", "parts", "[]", "thought"}},
};

/* ---- documents ---- */

struct document {
    char *bytes;
    size_t size;
    size_t mark; /* where the ^ was, or SIZE_MAX */
};

static void *block(size_t size)
{
    void *memory = malloc(size ? size : 1);
    assert_non_null(memory);
    return memory;
}

/* Translates what the header comment says. */
static struct document document(const char *written)
{
    struct document made = {block(strlen(written)), 0, SIZE_MAX};
    for (; *written; written++) {
        if (*written == '^')
            made.mark = made.size;
        else
            made.bytes[made.size++] = *written == '\'' ? '"' : *written == '~' ? '\0' : *written;
    }
    return made;
}

/* ---- cutting ---- */

/* How a document is cut: into pieces of `every` bytes, or else at `first` and `second`. */
struct cut {
    size_t first, second, every;
};

static const struct cut uncut = {0, 0, 0};

static size_t piece_length(struct cut cut, size_t done, size_t size)
{
    size_t end = size;
    if (cut.every)
        end = done + cut.every;
    else if (done < cut.first)
        end = cut.first;
    else if (done < cut.second)
        end = cut.second;
    return (end < size ? end : size) - done;
}

/* Feeds a copy of exactly that size, so that a sanitizer sees a byte read behind it. */
static bool feed(struct tc_envelope *e, const char *bytes, size_t size)
{
    char *copy = block(size);
    memcpy(copy, bytes, size);
    bool good = tc_envelope_feed(e, copy, size);
    free(copy);
    return good;
}

static void feed_cut(struct tc_envelope *e, const char *bytes, size_t size, struct cut cut)
{
    size_t length;
    for (size_t done = 0; done < size; done += length) {
        length = piece_length(cut, done, size);
        feed(e, bytes + done, length);
    }
}

static void parse(struct tc_envelope *e, const struct document *d, struct cut cut)
{
    tc_envelope_init(e, rules, RULES);
    feed_cut(e, d->bytes, d->size, cut);
    tc_envelope_finish(e);
}

/* ---- comparing ---- */

static bool same_buffer(const struct tc_buffer *one, const struct tc_buffer *other)
{
    return one->size == other->size && (!one->size || !memcmp(one->data, other->data, one->size));
}

static bool same_text(const char *one, const char *other)
{
    return one && other ? !strcmp(one, other) : one == other;
}

static const char *image_difference(const struct tc_image *one, const struct tc_image *other)
{
    const struct tc_signature *a = &one->signature, *b = &other->signature;
    if (!same_buffer(&one->bytes, &other->bytes))
        return "an image's bytes";
    if (one->size != other->size || one->ended != other->ended)
        return "an image's size";
    if (one->fault != other->fault || one->base64_error != other->base64_error)
        return "an image's fault";
    if (one->held != other->held || one->draft != other->draft)
        return "whether an image is a draft";
    if (!same_text(a->mime, b->mime) || !same_text(a->ext, b->ext) || a->width != b->width ||
        a->height != b->height)
        return "an image's signature";
    return NULL;
}

/* What differs in two results, or NULL. */
static const char *difference(const struct tc_envelope *one, const struct tc_envelope *other)
{
    if (one->error != other->error)
        return "the error";
    if (one->position != other->position)
        return "the position";
    if (!same_buffer(&one->text, &other->text))
        return "the envelope";
    for (unsigned i = 0; i < TC_PATH_RULES; i++)
        if (!same_buffer(&one->texts[i], &other->texts[i]))
            return "a captured text";
    if (one->images.count != other->images.count)
        return "the number of images";
    for (unsigned i = 0; i < one->images.count; i++) {
        const char *differs = image_difference(one->images.list[i], other->images.list[i]);
        if (differs)
            return differs;
    }
    return NULL;
}

static void expect_at_cut(const char *row, const struct document *d,
                          const struct tc_envelope *wanted, struct cut cut)
{
    struct tc_envelope got;
    char text[128];
    parse(&got, d, cut);
    const char *differs = difference(wanted, &got);
    tc_envelope_describe(&got, text, sizeof(text));
    if (differs)
        fail_msg("%s, cut at %zu and %zu, every %zu: %s differs (now: %s)", row, cut.first,
                 cut.second, cut.every, differs, text);
    tc_envelope_free(&got);
}

/* In two at every place, in pieces of every size, in three at some: all as uncut. */
static void expect_at_every_cut(const char *row, const struct document *d)
{
    struct tc_envelope wanted;
    size_t stride = d->size <= 48 ? 1 : d->size / 16;
    parse(&wanted, d, uncut);
    for (size_t i = 1; i <= d->size; i++) {
        expect_at_cut(row, d, &wanted, (struct cut){i, i, 0});
        expect_at_cut(row, d, &wanted, (struct cut){0, 0, i});
    }
    for (size_t i = 1; i < d->size; i += stride)
        for (size_t j = i + 1; j < d->size; j += stride)
            expect_at_cut(row, d, &wanted, (struct cut){i, j, 0});
    tc_envelope_free(&wanted);
}

/* ---- documents that are right ---- */

#define PNG_2X3                                                                                    \
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJ"     \
    "RU5ErkJggg=="
#define X_20  "xxxxxxxxxxxxxxxxxxxx"
#define X_100 X_20 X_20 X_20 X_20 X_20
/* "data:;base64," */
#define HEAD_ESCAPED                                                                               \
    "\\u0064\\u0061\\u0074\\u0061\\u003a\\u003b"                                                   \
    "\\u0062\\u0061\\u0073\\u0065\\u0036\\u0034\\u002c"
#define MESSAGE(fields) "{'choices':[{'index':0,'message':{" fields "}}]}"
#define PARTS(parts)                                                                               \
    "{'candidates':[{'content':{'parts':[" parts "],'role':'model'},'finishReason':'STOP'}]}"
#define KEY_62 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct right {
    const char *name, *json;
    const char *envelope; /* NULL: like `json` */
    const char *images;   /* what is in them, with | between; NULL: there are none */
    const char *texts[RULES];
} right[] = {
    /* the gateway's answers */
    {"compact",
     "{'created':1735689600,'data':[{'b64_json':'QUJD'}]}",
     "{'created':1735689600,'data':[{'b64_json':1}]}",
     "ABC",
     {0}},
    {"with nulls",
     "{'created':1735689600,'background':null,'data':[{'b64_json':'QUI=','revised_prompt':null,"
     "'url':null}],'output_format':null,'quality':null,'size':null,'usage':{'input_tokens':0,"
     "'input_tokens_details':{'image_tokens':0,'text_tokens':0},'total_tokens':0}}",
     "{'created':1735689600,'background':null,'data':[{'b64_json':1,'revised_prompt':null,"
     "'url':null}],'output_format':null,'quality':null,'size':null,'usage':{'input_tokens':0,"
     "'input_tokens_details':{'image_tokens':0,'text_tokens':0},'total_tokens':0}}",
     "AB",
     {0}},
    {"pretty",
     "{\n  'created' : 1735689600,\r\n\t'data' : [\n    {\n      'b64_json' : 'QQ=='\n    }\n  ]"
     "\n}\n",
     "{'created':1735689600,'data':[{'b64_json':1}]}",
     "A",
     {0}},
    {"other order",
     "{'data':[{'url':null,'revised_prompt':'a kite','b64_json':'QUJD'}],'created':1}",
     "{'data':[{'url':null,'revised_prompt':'a kite','b64_json':1}],'created':1}",
     "ABC",
     {[PROMPT] = "a kite"}},
    {"several images",
     "{'data':[{'b64_json':'QQ=='},{'b64_json':'QkI='},{'b64_json':'Q0ND'}]}",
     "{'data':[{'b64_json':1},{'b64_json':2},{'b64_json':3}]}",
     "A|BB|CCC",
     {0}},
    {"images at two places",
     "{'images':['QQ==','QkI='],'data':[{'b64_json':'Q0ND'}]}",
     "{'images':[1,2],'data':[{'b64_json':3}]}",
     "A|BB|CCC",
     {0}},
    {"duplicated keys",
     "{'data':[{'b64_json':'QQ==','b64_json':'QkI='}],'data':[]}",
     "{'data':[{'b64_json':1,'b64_json':null}],'data':[]}",
     "A",
     {0}},
    {"a root inside a root",
     "{'type':'response.completed','response':{'data':[{'b64_json':'QQ==','url':'data:;base64,QQ=='"
     "}],'response':{'b64_json':'QQ=='},'error':'no'},'b':'QUI='}",
     "{'type':'response.completed','response':{'data':[{'b64_json':1,'url':null}],'response':{"
     "'b64_json':'QQ=='},'error':'no'},'b':'QUI='}",
     "A",
     {[ERROR] = "no"}},
    {"a root inside the roots of a list",
     "[{'response':{'candidates':[{'content':{'parts':[{'inlineData':{'data':'QQ=='}}]}}]}},"
     "{'response':['QQ=='],'x':{'response':{'b64_json':'QQ=='}}},{'response':{'b64_json':'QUI='}}]",
     "[{'response':{'candidates':[{'content':{'parts':[{'inlineData':{'data':1}}]}}]}},"
     "{'response':['QQ=='],'x':{'response':{'b64_json':'QQ=='}}},{'response':{'b64_json':2}}]",
     "A|AB",
     {0}},
    {"data URLs without their scheme",
     "{'images':['image/png;base64,QQ==',' Image/x;a=b;base64,QUI='],'urls':['image/;base64,QUJD',"
     "'image\\/png;base64,QQ','image/a.png','x image/png;base64,QQ==','imagine'],"
     "'prose':['image/png;base64,QQ==']}",
     "{'images':[1,2],'urls':[3,4,'image/a.png','x image/png;base64,QQ==','imagine'],"
     "'prose':['image/png;base64,QQ==']}",
     "A|AB|ABC|A",
     {0}},
    {"data URLs of text in prose",
     "{'prose':['see data:text/plain;base64,QUJD.','data:Text/html;charset=utf-8;base64,QUJD',"
     "'data:text/plain;base64,iVBORw0KGgo=','data:;base64,QQ== data:text/x;base64,QUJD',"
     "'data:texts/x;base64,QUJD','data:text/x;base64, QUJD']}",
     "{'prose':['see data:text/plain;base64,QUJD.','data:Text/html;charset=utf-8;base64,QUJD',"
     "'',' data:text/x;base64,QUJD','','data:text/x;base64, QUJD']}",
     "\x89PNG\r\n\x1a\n|A|ABC",
     {0}},
    {"one picture an object",
     "{'data':[{'b64_json':'QQ==','url':'data:;base64,QQ=='},{'url':'data:;base64,QkI=',"
     "'revised_prompt':'x','b64_json':'QkI=','image_url':'data:;base64,QkI='},{'b64_json':'QUJD'}],"
     "'images':['QQ==','QQ==']}",
     "{'data':[{'b64_json':1,'url':null},{'url':2,'revised_prompt':'x','b64_json':null,"
     "'image_url':null},{'b64_json':3}],'images':[4,5]}",
     "A|BB|ABC|A|A",
     {[PROMPT] = "x"}},
    {"one picture an object, in a list of documents",
     "[{'data':[{'b64_json':'QQ==','url':'\\u0064ata:;base64,QQ=='}]},{'b64_json':'QUI='},"
     "{'b64_json':'QUI='}]",
     "[{'data':[{'b64_json':1,'url':null}]},{'b64_json':2},{'b64_json':3}]",
     "A|AB|AB",
     {0}},
    {"addresses beside the picture of an object",
     "{'data':[{'b64_json':'QQ==','url':'https://x'},{'url':'https://x','b64_json':'QQ=='},"
     "{'b64_json':'None','url':'data:;base64,QUI='}]}",
     "{'data':[{'b64_json':1,'url':'https://x'},{'url':'https://x','b64_json':2},"
     "{'b64_json':'','url':3}]}",
     "A|A|AB",
     {0}},
    {"one picture a part",
     MESSAGE(
         "'content':[{'image_url':{'url':'data:;base64,QQ=='}},{'image_url':'data:;base64,QQ==',"
         "'image_url':{'url':'data:;base64,QQ=='}},{'text':'data:;base64,QQ==',"
         "'image_url':{'url':'data:;base64,QkI='}}]"),
     MESSAGE("'content':[{'image_url':{'url':1}},{'image_url':2,'image_url':{'url':null}},"
             "{'text':'','image_url':{'url':4}}]"),
     "A|A|A|BB",
     {0}},
    {"one picture a part of Gemini's",
     PARTS("{'inlineData':{'data':'QQ=='},'inline_data':{'data':'QQ=='}},"
           "{'inlineData':{'data':'QUI='}}"),
     PARTS("{'inlineData':{'data':1},'inline_data':{'data':null}},{'inlineData':{'data':2}}"),
     "A|AB",
     {0}},
    {"unknown fields",
     "{'x':{'data':[{'b64_json':'no'}]},'data':[{'x':[1,{}],'b64_json':'QUJD'}]}",
     "{'x':{'data':[{'b64_json':'no'}]},'data':[{'x':[1,{}],'b64_json':1}]}",
     "ABC",
     {0}},

    /* base64 and what JSON may do to it */
    {"without padding", "{'images':['QQ']}", "{'images':[1]}", "A", {0}},
    {"escaped slash", "{'images':['\\/9j\\/']}", "{'images':[1]}", "\xff\xd8\xff", {0}},
    {"escaped plus", "{'images':['\\u002B\\u002b++']}", "{'images':[1]}", "\xfb\xef\xbe", {0}},
    {"every character escaped",
     "{'images':['\\u0051\\u0055\\u004a\\u0044\\u0051\\u0051\\u003d=']}",
     "{'images':[1]}",
     "ABCA",
     {0}},
    {"lines in the base64",
     "{'images':['QUJD\\r\\nQUJD\\n\\tQ\\f Q\\u0020=\\u000A=']}",
     "{'images':[1]}",
     "ABCABCA",
     {0}},
    {"the alphabet for URLs",
     "{'images':['-_-_'],'urls':['data:;base64,__--'],'prose':['data:;base64,QUJD-_-_']}",
     "{'images':[1],'urls':[2],'prose':['']}",
     "\xfb\xff\xbf|\xff\xff\xbe|ABC\xfb\xff\xbf",
     {0}},
    {"addresses where base64 belongs",
     "{'images':['http://x','HTTPS:','data:image/png;base64,QUJD',' data:;base64,QQ==','data:x',"
     "'dA','http','\\u0064ata\\u003a;base64,QUI=',' \\n','httQ']}",
     "{'images':['http://x','HTTPS:',1,2,'data:x',3,4,5,'',6]}",
     "ABC|A|t|\x86\xdb\x69|AB|\x86\xdb\x50",
     {0}},
    {"numbers for images",
     "{'images':[17,-1.5e3,0],'data':[{'b64_json':1,'x':1},{'b64_json':2.5}],'urls':[1,-0]}",
     "{'images':[null,null,null],'data':[{'b64_json':null,'x':1},{'b64_json':null}],"
     "'urls':[null,null]}",
     NULL,
     {0}},
    {"no strings for images",
     "{'images':[true,false,{'b64_json':'QQ=='},['QQ==']],'data':[{'b64_json':{}}]}",
     NULL,
     NULL,
     {0}},
    {"images that are none",
     "{'images':[null,'',null,'QQ=='],'data':[{'b64_json':null}]}",
     "{'images':[null,'',null,1],'data':[{'b64_json':null}]}",
     "A",
     {0}},

    /* places */
    {"escapes in keys",
     "{'\\u0064at\\u0061':[{'b\\u00364_json':'QUJD'}]}",
     "{'data':[{'b64_json':1}]}",
     "ABC",
     {0}},
    {"key in a string",
     "{'x':'\\'b64_json\\':\\'no\\'','data':['b64_json',{'b64_json':'QQ=='}]}",
     "{'x':'\\u0022b64_json\\u0022:\\u0022no\\u0022','data':['b64_json',{'b64_json':1}]}",
     "A",
     {0}},
    {"too high", "{'x':{'b64_json':'no'},'data':{'b64_json':'no'}}", NULL, NULL, {0}},
    {"too deep",
     "{'data':[[{'b64_json':'no'}],{'x':{'b64_json':'no'}},{'x':[{'b64_json':'-'}]}]}",
     NULL,
     NULL,
     {0}},
    {"at the root", "[[{'b64_json':'no'}]]", NULL, NULL, {0}},
    {"no list", "{'data':{'b64_json':'-','0':{'b64_json':'-'}}}", NULL, NULL, {0}},
    {"an object's key like a list's step",
     "{'data':{'[]':{'b64_json':'-'}},'images':{'[]':'-'}}",
     NULL,
     NULL,
     {0}},
    {"keys that begin alike",
     "{'data':[{'b64_jso':1,'b64_json2':2,'b64_json ':3,'':4}],'dat':[]}",
     NULL,
     NULL,
     {0}},
    {"keys of other case", "{'Data':[{'b64_json':1}],'data':[{'B64_JSON':2}]}", NULL, NULL, {0}},
    {"key with a NUL behind",
     "{'data':[{'b64_json\\u0000':1}],'data\\u0000':[{'b64_json':2}]}",
     NULL,
     NULL,
     {0}},
    {"key of half a pair",
     "{'data\\ud83d':[{'b64_json':2}]}",
     "{'data\xef\xbf\xbd':[{'b64_json':2}]}",
     NULL,
     {0}},
    {"keys around what is compared",
     "{'b" KEY_62 "':1,'bb" KEY_62 "':2,'bbb" KEY_62 "':3,'data" KEY_62 KEY_62
     "':[{'b64_json':4}]}",
     NULL,
     NULL,
     {0}},
    {"behind a nested value",
     "{'data':[{'x':{'y':[{}]},'b64_json':'QQ=='},{'b64_json':'QkI='}]}",
     "{'data':[{'x':{'y':[{}]},'b64_json':1},{'b64_json':2}]}",
     "A|BB",
     {0}},

    /* captured texts */
    {"text",
     "{'error':{'message':'no such model','code':404}}",
     NULL,
     NULL,
     {[ERROR_MESSAGE] = "no such model"}},
    {"text with escapes",
     "{'error':'\\u00e9\\t\\/\\\\\\'\\u20ac\\ud83d\\ude00'}",
     "{'error':'\xc3\xa9\\u0009/\\u005c\\u0022\xe2\x82\xac\xf0\x9f\x98\x80'}",
     NULL,
     {[ERROR] = "\xc3\xa9\t/\\\"\xe2\x82\xac\xf0\x9f\x98\x80"}},
    {"numbers as texts",
     "{'error':-1.5e+3,'detail':[{'msg':0},{'msg':12}]}",
     NULL,
     NULL,
     {[ERROR] = "-1.5e+3", [DETAIL] = "0; 12"}},
    {"texts of a list",
     "{'detail':[{'msg':'one'},{'loc':'x'},{'msg':'two'},{'msg':3}]}",
     NULL,
     NULL,
     {[DETAIL] = "one; two; 3"}},
    {"empty texts",
     "{'detail':[{'msg':''},{'msg':'two'},{'msg':''}]}",
     NULL,
     NULL,
     {[DETAIL] = "two; "}},
    {"no texts",
     "{'error':null,'detail':[{'msg':null},{'msg':true},{'msg':['x']},{'msg':{}}]}",
     NULL,
     NULL,
     {0}},
    {"texts elsewhere",
     "{'message':'x','error':{'error':'x','x':{'message':'y'}},'msg':'x'}",
     NULL,
     NULL,
     {0}},
    {"as deep as a rule goes",
     "{'a':{'b':[{'c':{'d':'x','e':{'d':'-'}}}],'c':{'d':'-'}}}",
     NULL,
     NULL,
     {[DEEP] = "x"}},
    {"as deep as any rule goes",
     "{'8':{'7':{'6':{'5':{'4':{'3':{'2':{'1':'x','0':{'1':'-'}},'1':'-'}}}}}}}",
     NULL,
     NULL,
     {[DEEPEST] = "x"}},
    {"deeper than any rule goes",
     "{'8':{'7':{'6':{'5':{'4':{'3':{'2':{'1':{'1':{'1':['-']}}}}}}}}}}",
     NULL,
     NULL,
     {0}},

    /* chat's answers */
    {"chat",
     "{'id':'x','choices':[{'finish_reason':'stop','index':0,'message':{'role':'assistant','images'"
     ":[{'image_url':{'url':'data:image/png;base64,QUJD','detail':'auto'},'index':0,'type':"
     "'image_url'}]}}],'usage':{'total_tokens':1305},'vertex_ai_safety_results':[]}",
     "{'id':'x','choices':[{'finish_reason':'stop','index':0,'message':{'role':'assistant','images'"
     ":[{'image_url':{'url':1,'detail':'auto'},'index':0,'type':"
     "'image_url'}]}}],'usage':{'total_tokens':1305},'vertex_ai_safety_results':[]}",
     "ABC",
     {0}},
    {"chat with several images and text",
     MESSAGE(
         "'images':[{'image_url':{'url':'data:image/png;base64,QQ=='},'index':0},{'index':0,"
         "'image_url':{'detail':'auto','url':'data:image/jpeg;base64,QkI='}}],'content':'Two.'"),
     MESSAGE("'images':[{'image_url':{'url':1},'index':0},{'index':0,"
             "'image_url':{'detail':'auto','url':2}}],'content':'Two.'"),
     "A|BB",
     {0}},
    {"chat without an image", MESSAGE("'content':'I cannot.','images':[]"), NULL, NULL, {0}},
    {"chat without anything", MESSAGE("'content':null"), NULL, NULL, {0}},
    {"chat with a single image",
     MESSAGE("'image':{'url':'data:image/webp;base64,QUJD','detail':'auto'},'content':''"),
     MESSAGE("'image':{'url':1,'detail':'auto'},'content':''"),
     "ABC",
     {0}},
    {"chat with nulls for images", MESSAGE("'images':null,'image':null"), NULL, NULL, {0}},
    {"chat's URL of the web",
     MESSAGE("'images':[{'image_url':{'url':'https:\\/\\/example.org/data:;base64,QUJD'}}]"),
     MESSAGE("'images':[{'image_url':{'url':'https://example.org/data:;base64,QUJD'}}]"),
     NULL,
     {0}},
    {"content that is a data URL",
     MESSAGE("'content':'data:image/png;base64,QUJD','role':'assistant'"),
     MESSAGE("'content':'','role':'assistant'"),
     "ABC",
     {0}},
    {"content in Markdown",
     MESSAGE("'content':'Here:\\n\\n![image](data:image/png;base64,QUJD)\\n\\nEnjoy: it.'"),
     MESSAGE("'content':'Here:\\u000a\\u000a![image]()\\u000a\\u000aEnjoy: it.'"),
     "ABC",
     {0}},
    {"content in parts",
     MESSAGE("'content':[{'type':'text','text':'A data:,B data:;base64,QQ== C'},{'type':'image_url'"
             ",'image_url':{'url':'data:;base64,QkI='}},{'image_url':'data:;base64,Q0ND'}]"),
     MESSAGE("'content':[{'type':'text','text':'A data:,B  C'},{'type':'image_url'"
             ",'image_url':{'url':2}},{'image_url':3}]"),
     "A|BB|CCC",
     {0}},
    {"content elsewhere",
     "{'content':'data:;base64,QQ==','url':'data:;base64,QQ=='}",
     NULL,
     NULL,
     {0}},

    /* Gemini's answers */
    {"Gemini",
     PARTS("{'text':'Here:'},{'inlineData':{'mimeType':'image/png','data':'QQ=='}},"
           "{'inlineData':{'data':'QkI=','mimeType':'image/png'},'thoughtSignature':'QQ=='}"),
     PARTS("{'text':'Here:'},{'inlineData':{'mimeType':'image/png','data':1}},"
           "{'inlineData':{'data':2,'mimeType':'image/png'},'thoughtSignature':'QQ=='}"),
     "A|BB",
     {0}},
    {"Gemini with underscores",
     PARTS("{'inline_data':{'mime_type':'image/png','data':'QUJD'}},{'inline_data':{}}"),
     PARTS("{'inline_data':{'mime_type':'image/png','data':1}},{'inline_data':{}}"),
     "ABC",
     {0}},
    {"Gemini with text alone", PARTS("{'text':'data: none','thought':true}"), NULL, NULL, {0}},
    {"Gemini without content",
     "{'promptFeedback':{'blockReason':'SAFETY'},'candidates':[{'finishReason':'SAFETY'}]}",
     NULL,
     NULL,
     {0}},

    /* data URLs */
    {"types of data URLs",
     "{'urls':['data:;base64,QQ==','data:image/svg+xml;charset=utf-8;base64,QQ==',"
     "'data:application/vnd.a-b.c;p=1;q=%20;base64,QQ','data:x;base64;base64,QQ==']}",
     "{'urls':[1,2,3,4]}",
     "A|A|A|A",
     {0}},
    {"case of data URLs",
     "{'urls':['DATA:image/PNG;BASE64,QQ==','dAtA:Image/Png;bAsE64,QQ==']}",
     "{'urls':[1,2]}",
     "A|A",
     {0}},
    {"escapes in data URLs",
     "{'urls':['data:image\\/jpeg;base64,\\/9j\\/','\\u0064\\u0041ta\\u003aimage\\u002Fpng\\u003b"
     "base6\\u0034\\u002c\\u0051QQ\\u0051','data:;base64,\\r\\nQU\\n J\\tD ']}",
     "{'urls':[1,2,3]}",
     "\xff\xd8\xff|A\x04\x10|ABC",
     {0}},
    {"URLs that are kept",
     "{'urls':['','x',':','data','data:','data:,','data:image/png','data:image/png;base64',"
     "'data:image/png;base64,','data:image/png,QUJD','data:image/png;charset=base64,QUJD',"
     "'data:base64,QUJD','data:;base64 ,QUJD','data:;base6,QUJD','data:;base64:,QUJD']}",
     NULL,
     NULL,
     {0}},
    {"URLs that begin otherwise",
     "{'urls':['x data:;base64,QUJD','data:data:;base64,QUJD','xdata:;base64,QUJD',"
     "'Data:(x);base64,QUJD','data:image/p\xc3\xa9g;base64,QUJD','data :;base64,QUJD',"
     "'data:,;base64,QUJD']}",
     NULL,
     NULL,
     {0}},
    {"escapes in URLs that are kept",
     "{'urls':['data:\\';base64,QUJD','x\\'data:;base64,QUJD','data:\\u0000;base64,Q','d\\u00e1ta:;"
     "base64,Q','data:\\n;base64,Q','data\\u001a;base64,Q','data:\\u001bbase64,Q','\\\\data:;base64"
     ",Q','data:;base64\\ud83d,Q','data:;base64\\ud83d\\ude00,Q','data:;base6\\u0014,Q']}",
     "{'urls':['data:\\u0022;base64,QUJD','x\\u0022data:;base64,QUJD','data:\\u0000;base64,Q',"
     "'d\xc3\xa1ta:;base64,Q','data:\\u000a;base64,Q','data\\u001a;base64,Q',"
     "'data:\\u001bbase64,Q','\\u005cdata:;base64,Q','data:;base64\xef\xbf\xbd,Q',"
     "'data:;base64\xf0\x9f\x98\x80,Q','data:;base6\\u0014,Q']}",
     NULL,
     {0}},
    {"words for nothing where a picture belongs",
     "{'data':[{'b64_json':'null'},{'b64_json':' "
     "None'},{'b64_json':'N\\u002fA'},{'b64_json':'nuls'}],"
     "'urls':['none','NaN','undefined','n','nonesuch','iVBOR','/9']}",
     "{'data':[{'b64_json':''},{'b64_json':''},{'b64_json':''},{'b64_json':1}],"
     "'urls':['','','','n','nonesuch','iVBOR','/9']}",
     "\x9e\xe9\x6c",
     {0}},
    {"what does not count in front of a picture",
     "{'data':[{'b64_json':'\\ufeffQUJD'},{'b64_json':'\xef\xbb\xbf "
     "\\nQkJC'},{'b64_json':'\\'QUJD'}],"
     "'urls':['\\'\xe2\x80\x8bhttp://x','\\'data:;base64,QQ==']}",
     "{'data':[{'b64_json':1},{'b64_json':2},{'b64_json':3}],'urls':['http://x',4]}",
     "ABC|BBB|ABC|A",
     {0}},
    {"what is no string where a URL belongs",
     "{'urls':[null,{'url':'data:;base64,QUJD'},['data:;base64,QUJD'],true,false,'',{}]}",
     NULL,
     NULL,
     {0}},
    {"the longest head",
     "{'urls':['data:image/png;abcd=" X_100 ";base64,QUJD','data:image/png;abcde=" X_100
     ";base64,QUJD'],'prose':['data:image/png;abcd=" X_100
     ";base64,QUJD','data:image/png;abcde=" X_100 ";base64,QUJD']}",
     "{'urls':[1,'data:image/png;abcde=" X_100
     ";base64,QUJD'],'prose':['','data:image/png;abcde=" X_100 ";base64,QUJD']}",
     "ABC|ABC",
     {0}},
    {"keys and texts like data URLs",
     "{'data:;base64,QQ==':1,'" HEAD_ESCAPED "QQ':2,'error':'" HEAD_ESCAPED "QQ','x':'" HEAD_ESCAPED
     "'}",
     "{'data:;base64,QQ==':1,'data:;base64,QQ':2,'error':'data:;base64,QQ','x':'data:;base64,'}",
     NULL,
     {[ERROR] = "data:;base64,QQ"}},

    /* prose */
    {"several images in prose",
     "{'prose':['data:;base64,QQ==','a data:;base64,QkI= b data:;base64,Q0ND\\ndata:;base64,QQ== "
     "c',"
     "'data:;base64,QQ==,data:;base64,QkI=.']}",
     "{'prose':['','a  b \\u000a c',',.']}",
     "A|BB|CCC|A|A|BB",
     {0}},
    {"what ends an image in prose",
     "{'prose':['data:;base64,QUJD.','data:;base64,QUJD:','data:;base64,QUJD\\u00e9','data:;base64,"
     "QUJD\xc3\xa9','data:;base64,QUJD\\'','data:;base64,QUJD\\\\','data:;base64,QUJD\\n',"
     "'data:;base64,QUJD\\ud83d','data:;base64,QUJD\\ud83d\\ude00','data:;base64,QQ==\\ude00x',"
     "'data:;base64,QUJD\\u0000','data:;base64,QUJD QUJD']}",
     "{'prose':['.',':','\xc3\xa9','\xc3\xa9','\\u0022','\\u005c','\\u000a','\xef\xbf\xbd',"
     "'\xf0\x9f\x98\x80','\xef\xbf\xbdx','\\u0000',' QUJD']}",
     "ABC|ABC|ABC|ABC|ABC|ABC|ABC|ABC|ABC|A|ABC|ABC",
     {0}},
    {"what ends an image right behind its beginning, which white space is in front of",
     "{'prose':['data:;base64, UklG\\\\x','data:;base64, R0lG)x','data:;base64, /9j/\\u00e9']}",
     "{'prose':['\\u005cx',')x','\xc3\xa9']}",
     "RIF|GIF|\xff\xd8\xff",
     {0}},
    {"what comes behind padding in prose",
     "{'prose':['data:;base64,QQ===)','data:;base64,QQ==x','data:;base64,QUJD=']}",
     "{'prose':['=)','x','=']}",
     "A|A|ABC",
     {0}},
    {"escapes in images in prose",
     "{'prose':['x\\u0064ata:image\\/jpeg;base64,\\/9j\\/\\u003b\\u002FQ\\u003d\\u003d',"
     "'data:;base64,\\u0051\\u0051\\u003d=)']}",
     "{'prose':['x;/Q==',')']}",
     "\xff\xd8\xff|A",
     {0}},
    {"images behind what looks like the head of one",
     "{'prose':['data:data:image/"
     "png;base64,QUJD','metadata:;base64,QUJD','data:,data:;base64,QUJD',"
     "'data:;base64,-;base64,QUJD','data:;base64,:data:;base64,QUJD',"
     "'data:;base64,data:;base64,QUJDdata:;base64,QUJD']}",
     "{'prose':['data:','meta','data:,','data:;base64,-;base64,QUJD','data:;base64,:',"
     "':;base64,QUJD']}",
     "ABC|ABC|ABC|ABC|u\xab\x5a|ABC",
     {0}},
    {"prose that is kept",
     "{'prose':['','data:','The data: 1, 2;base64,QUJD','data:;base64,','data:;base64,=QQ',"
     "'data:image/png;base64,...','data:image/png;base64,<QUJD>','x data:;base64, QUJD',"
     "'data:image/png,;base64,QUJD','data: ;base64,QUJD','data:;base64','dat a:;base64,QUJD',"
     "'::::data','dat','a:;base64,QUJD',':;base64,QUJD','data;:;base64,QUJD',"
     "'data:\x7f;base64,QUJD']}",
     NULL,
     NULL,
     {0}},
    {"escapes in prose that is kept",
     "{'prose':['data:;base64,\\n','data:;base64,\\'QUJD','data:\\';base64,QUJD',"
     "'data\\u00ba;base64,QUJD','data\\u001a;base64,QUJD','data:\\u001bbase64,QUJD',"
     "'data:;base6\\u0014,QUJD','" HEAD_ESCAPED "','data:;base64\\/,QUJD','data:;base64,\\ud83d']}",
     "{'prose':['data:;base64,\\u000a','data:;base64,\\u0022QUJD','data:\\u0022;base64,QUJD',"
     "'data\xc2\xba;base64,QUJD','data\\u001a;base64,QUJD','data:\\u001bbase64,QUJD',"
     "'data:;base6\\u0014,QUJD','data:;base64,','data:;base64/,QUJD','data:;base64,\xef\xbf\xbd']}",
     NULL,
     {0}},
    {"what is no string where prose belongs",
     "{'prose':[null,1,true,['data:;base64,QQ=='],{'text':'data:;base64,QQ=='},[],{}]}",
     NULL,
     NULL,
     {0}},

    /* strings */
    {"every short escape",
     "['\\'\\\\\\/\\b\\f\\n\\r\\t']",
     "['\\u0022\\u005c/\\u0008\\u000c\\u000a\\u000d\\u0009']",
     NULL,
     {0}},
    {"hex escapes",
     "['\\u0000\\u001F\\u0020\\u007f\\u0080\\u07FF\\u0800\\uffff\\uABcd']",
     "['\\u0000\\u001f \x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xea\xaf\x8d']",
     NULL,
     {0}},
    {"surrogate pairs",
     "['\\ud800\\udc00\\uDBFF\\uDFFF\\ud83d\\ude00']",
     "['\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf0\x9f\x98\x80']",
     NULL,
     {0}},
    {"high surrogates alone",
     "['\\ud800','\\ud800x','\\ud800\\n','\\ud800\\u0041','\\udbff\\ud800']",
     "['\xef\xbf\xbd','\xef\xbf\xbdx','\xef\xbf\xbd\\u000a','\xef\xbf\xbd"
     "A','\xef\xbf\xbd"
     "\xef\xbf\xbd']",
     NULL,
     {0}},
    {"low surrogates alone",
     "['\\udc00','\\udc00\\udfff','\\udc00\\ud83d\\ude00']",
     "['\xef\xbf\xbd','\xef\xbf\xbd\xef\xbf\xbd','\xef\xbf\xbd\xf0\x9f\x98\x80']",
     NULL,
     {0}},
    {"a pair behind half of one",
     "['\\ud800\\ud83d\\ude00']",
     "['\xef\xbf\xbd\xf0\x9f\x98\x80']",
     NULL,
     {0}},
    {"UTF-8", "['\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80']", NULL, NULL, {0}},
    {"what is not UTF-8", "{'\xff\xc0\x80':'\x80\xed\xa0\x80\xf8\xfe'}", NULL, NULL, {0}},

    /* values */
    {"null", "null", NULL, NULL, {0}},
    {"true", "true", NULL, NULL, {0}},
    {"false", " false ", "false", NULL, {0}},
    {"text alone", "'x'", NULL, NULL, {0}},
    {"empty text", "''", NULL, NULL, {0}},
    {"empty object", "{}", NULL, NULL, {0}},
    {"empty list", "[ ]", "[]", NULL, {0}},
    {"0", "0", NULL, NULL, {0}},
    {"-0", "-0", NULL, NULL, {0}},
    {"7", "7", NULL, NULL, {0}},
    {"-120", "-120", NULL, NULL, {0}},
    {"0.5", "0.5", NULL, NULL, {0}},
    {"12.50", "12.50", NULL, NULL, {0}},
    {"0e0", "0e0", NULL, NULL, {0}},
    {"1E5", "1E5", NULL, NULL, {0}},
    {"1e+05", "1e+05", NULL, NULL, {0}},
    {"-1.5E-10", "-1.5E-10", NULL, NULL, {0}},
    {"a long number", "123456789012345678901234567890.5e999", NULL, NULL, {0}},
    {"number and line", "42\n", "42", NULL, {0}},
    {"numbers in a list", "[0,-0,1.5,2e3 ,4E+1\n]", "[0,-0,1.5,2e3,4E+1]", NULL, {0}},
    {"numbers in an object", "{'a':0,'b':1.5,'c':2e3}", NULL, NULL, {0}},
    {"white space everywhere",
     " \t\r\n{ \t'a' \r: \n[ 1 , true , { } , [ ] , '' ] \t, 'b' : 0 } \n",
     "{'a':[1,true,{},[],''],'b':0}",
     NULL,
     {0}},
    {"byte order mark", "\xef\xbb\xbf{'a':1}", "{'a':1}", NULL, {0}},
    {"byte order mark behind a space", " \xef\xbb\xbf{}", "{}", NULL, {0}},
    {"byte order mark and white space", "\xef\xbb\xbf \n[1]", "[1]", NULL, {0}},
    {"nesting", "[[[{'a':{'b':[[]]}}]],[{}]]", NULL, NULL, {0}},
};

static void expect_buffer(const char *row, const char *what, const struct tc_buffer *got,
                          const char *wanted, size_t size)
{
    if (got->size != size || (size && memcmp(got->data, wanted, size)))
        fail_msg("%s: %s: \"%.*s\" instead of \"%.*s\"", row, what, (int)got->size,
                 (const char *)got->data, (int)size, wanted);
}

static void expect_images(const char *row, const struct tc_envelope *e, const char *wanted)
{
    unsigned count = 0;
    for (; wanted; count++) {
        size_t size = strcspn(wanted, "|");
        if (count == e->images.count)
            fail_msg("%s: only %u images", row, count);
        const struct tc_image *image = e->images.list[count];
        expect_buffer(row, "image", &image->bytes, wanted, size);
        if (!image->ended || image->held || image->size != size)
            fail_msg("%s: image %u has not ended", row, count + 1);
        wanted = wanted[size] ? wanted + size + 1 : NULL;
    }
    if (count != e->images.count)
        fail_msg("%s: %u images instead of %u", row, e->images.count, count);
}

static void expect_right(const struct right *row, const struct tc_envelope *e)
{
    char text[128];
    struct document wanted = document(row->envelope ? row->envelope : row->json);
    tc_envelope_describe(e, text, sizeof(text));
    if (e->error)
        fail_msg("%s: %s", row->name, text);
    assert_string_equal(text, "no error");
    expect_buffer(row->name, "envelope", &e->text, wanted.bytes, wanted.size);
    expect_images(row->name, e, row->images);
    for (unsigned i = 0; i < RULES; i++)
        expect_buffer(row->name, "text", &e->texts[i], row->texts[i],
                      row->texts[i] ? strlen(row->texts[i]) : 0);
    assert_null(tc_images_open(&e->images));
    free(wanted.bytes);
}

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(right); i++) {
        struct tc_envelope e;
        struct document d = document(right[i].json);
        parse(&e, &d, uncut);
        expect_right(&right[i], &e);
        if (e.position != d.size)
            fail_msg("%s: ended at %u", right[i].name, (unsigned)e.position);
        tc_envelope_free(&e);
        free(d.bytes);
    }
}

static void test_right_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(right); i++) {
        struct document d = document(right[i].json);
        expect_at_every_cut(right[i].name, &d);
        free(d.bytes);
    }
}

/* A text that stops early is never wrong before its end, and never right at its end. */
static void test_cut_short_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(right); i++) {
        struct document d = document(right[i].json);
        bool number = strchr("-0123456789", d.bytes[0]) != NULL;
        while (strchr(" \n", d.bytes[d.size - 1]))
            d.size--;
        for (size_t size = 0; size < d.size && !number; size++) {
            struct tc_envelope e;
            tc_envelope_init(&e, rules, RULES);
            if (!feed(&e, d.bytes, size))
                fail_msg("%s, %zu bytes: wrong too early", right[i].name, size);
            if (tc_envelope_finish(&e) || e.error != TC_ENVELOPE_TRUNCATED || e.position != size)
                fail_msg("%s, %zu bytes: not cut short", right[i].name, size);
            tc_envelope_free(&e);
        }
        free(d.bytes);
    }
}

/* Something behind the end is an error at the place where it is. */
static void test_trailing_garbage(void **state)
{
    static const char garbage[] = "x{}[],:\"0-tn\xef\x0c\\";
    (void)state;
    for (size_t i = 0; i < COUNT(right); i++)
        for (const char *behind = garbage; *behind; behind++) {
            struct tc_envelope e;
            struct document d = document(right[i].json);
            bool number = strchr("-0123456789", d.bytes[0]) != NULL;
            tc_envelope_init(&e, rules, RULES);
            assert_true(feed(&e, d.bytes, d.size));
            if (number)
                assert_true(feed(&e, "\n", 1)); /* else it could be part of the number */
            size_t end = d.size;
            while (end && strchr(" \t\r\n", d.bytes[end - 1]))
                end--;
            bool begins = *behind == '{' && d.bytes[end - 1] == '}' &&
                          memchr(d.bytes + end, '\n', d.size - end) != NULL;
            if (begins) /* one more document, on a line of its own */
                assert_true(feed(&e, behind, 1));
            else if (feed(&e, behind, 1) || e.error != TC_ENVELOPE_TRAILING ||
                     e.position != d.size + number)
                fail_msg("%s with '%c' behind", right[i].name, *behind);
            tc_envelope_free(&e);
            free(d.bytes);
        }
}

/* Objects on lines of their own are a list of documents. */
static void test_lines(void **state)
{
    static const struct {
        const char *json, *envelope;
        unsigned images;
    } lines[] = {
        {"{}\n{}", "[{},{}]", 0},
        {"{}\r\n\r\n \t{}\n\n", "[{},{}]", 0},
        {"{}\n {}\n{'a':[]}", "[{},{},{'a':[]}]", 0},
        {"{'data':[{'b64_json':'QQ=='}]}\n{'b64_json':'QUI='}",
         "[{'data':[{'b64_json':1}]},{'b64_json':2}]", 2},
        {"\n{\n'a':\n1}\n", "{'a':1}", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct tc_envelope e;
        struct document d = document(lines[i].json), wanted = document(lines[i].envelope);
        parse(&e, &d, uncut);
        assert_int_equal(e.error, TC_ENVELOPE_OK);
        assert_int_equal(e.images.count, lines[i].images);
        assert_int_equal(e.text.size, wanted.size);
        assert_memory_equal(e.text.data, wanted.bytes, wanted.size);
        tc_envelope_free(&e);
        expect_at_every_cut(lines[i].json, &d);
        free(d.bytes);
        free(wanted.bytes);
    }
}

/* ---- documents that are wrong ---- */

#define IN_IMAGE(text) "{'data':[{'b64_json':" text "}]}"
#define IN_URL(text)   "{'urls':['" text "']}"
#define IN_PROSE(text) "{'prose':['" text "']}"

static const struct wrong {
    const char *name, *json; /* without a ^ the error is at the end */
    enum tc_envelope_error error;
} wrong[] = {
    {"nothing", "", TC_ENVELOPE_TRUNCATED},
    {"white space", " \n\t", TC_ENVELOPE_TRUNCATED},
    {"byte order mark", "\xef\xbb\xbf", TC_ENVELOPE_TRUNCATED},
    {"half a byte order mark", "\xef\xbb", TC_ENVELOPE_TRUNCATED},
    {"half a byte order mark and a document", "\xef\xbb^{}", TC_ENVELOPE_NOT_JSON},
    {"damaged byte order mark", "\xef^\xbf\xbb{}", TC_ENVELOPE_NOT_JSON},
    {"byte order mark inside", "[^\xef\xbb\xbf]", TC_ENVELOPE_NOT_JSON},
    {"UTF-16", "^\xff\xfe{~}~", TC_ENVELOPE_NOT_JSON},
    {"UTF-16 without a mark", "{^~}~", TC_ENVELOPE_NOT_JSON},
    {"HTML", "^<html><body>502</body></html>", TC_ENVELOPE_NOT_JSON},
    {"a word", "^upstream error", TC_ENVELOPE_NOT_JSON},
    {"a comment", "{^// x\n}", TC_ENVELOPE_NOT_JSON},
    {"NUL", "^~", TC_ENVELOPE_NOT_JSON},
    {"NUL in a list", "[1^~]", TC_ENVELOPE_NOT_JSON},
    {"NUL for a value", "[^~]", TC_ENVELOPE_NOT_JSON},
    {"NUL behind", "{}^~", TC_ENVELOPE_TRAILING},
    {"form feed", "[^\f]", TC_ENVELOPE_NOT_JSON},
    {"no-break space", "[^\xc2\xa0]", TC_ENVELOPE_NOT_JSON},
    {"half a word", "tru", TC_ENVELOPE_TRUNCATED},
    {"misspelt true", "tru^x", TC_ENVELOPE_NOT_JSON},
    {"capital letters", "nu^LL", TC_ENVELOPE_NOT_JSON},
    {"capital letter", "[^True]", TC_ENVELOPE_NOT_JSON},
    {"a word and more", "true^r", TC_ENVELOPE_TRAILING},
    {"two words", "[null^null]", TC_ENVELOPE_NOT_JSON},
    {"a word broken by NUL", "nul^~", TC_ENVELOPE_NOT_JSON},
    {"leading zero", "0^1", TC_ENVELOPE_NOT_JSON},
    {"leading zero behind a sign", "[-0^1]", TC_ENVELOPE_NOT_JSON},
    {"point without digits", "[1.^]", TC_ENVELOPE_NOT_JSON},
    {"point without digits at the end", "1.", TC_ENVELOPE_TRUNCATED},
    {"point and exponent", "[1.^e5]", TC_ENVELOPE_NOT_JSON},
    {"nothing before the point", "^.5", TC_ENVELOPE_NOT_JSON},
    {"nothing between sign and point", "-^.5", TC_ENVELOPE_NOT_JSON},
    {"two points", "[1.5^.5]", TC_ENVELOPE_NOT_JSON},
    {"plus", "^+1", TC_ENVELOPE_NOT_JSON},
    {"exponent without digits", "[1e^]", TC_ENVELOPE_NOT_JSON},
    {"exponent without digits at the end", "1e", TC_ENVELOPE_TRUNCATED},
    {"exponent of a sign", "[1E+^]", TC_ENVELOPE_NOT_JSON},
    {"exponent of a sign at the end", "1.5e-", TC_ENVELOPE_TRUNCATED},
    {"exponent of two signs", "1e+^-1", TC_ENVELOPE_NOT_JSON},
    {"exponent with a point", "[1e5^.5]", TC_ENVELOPE_NOT_JSON},
    {"two exponents", "[1e5^e5]", TC_ENVELOPE_NOT_JSON},
    {"minus", "[-^]", TC_ENVELOPE_NOT_JSON},
    {"minus at the end", "-", TC_ENVELOPE_TRUNCATED},
    {"two signs", "-^-1", TC_ENVELOPE_NOT_JSON},
    {"hexadecimal", "[0^x1]", TC_ENVELOPE_NOT_JSON},
    {"hexadecimal alone", "0^x1", TC_ENVELOPE_TRAILING},
    {"NaN", "^NaN", TC_ENVELOPE_NOT_JSON},
    {"nan", "[n^an]", TC_ENVELOPE_NOT_JSON},
    {"infinity", "[-^Infinity]", TC_ENVELOPE_NOT_JSON},
    {"two numbers", "1 ^2", TC_ENVELOPE_TRAILING},
    {"open list", "[1,2", TC_ENVELOPE_TRUNCATED},
    {"comma first", "[^,1]", TC_ENVELOPE_NOT_JSON},
    {"comma last", "[1,^]", TC_ENVELOPE_NOT_JSON},
    {"two commas", "[1,^,2]", TC_ENVELOPE_NOT_JSON},
    {"no comma", "[1 ^2]", TC_ENVELOPE_NOT_JSON},
    {"list closed as object", "[1^}", TC_ENVELOPE_NOT_JSON},
    {"empty list closed as object", "[^}", TC_ENVELOPE_NOT_JSON},
    {"object closed as list", "{'a':1^]", TC_ENVELOPE_NOT_JSON},
    {"empty object closed as list", "{^]", TC_ENVELOPE_NOT_JSON},
    {"colon in a list", "['a'^:1]", TC_ENVELOPE_NOT_JSON},
    {"key without value", "{'a'^}", TC_ENVELOPE_NOT_JSON},
    {"key and comma", "{'a'^,'b':1}", TC_ENVELOPE_NOT_JSON},
    {"colon without value", "{'a':^}", TC_ENVELOPE_NOT_JSON},
    {"two colons", "{'a':^:1}", TC_ENVELOPE_NOT_JSON},
    {"value and colon", "{'a':1^:2}", TC_ENVELOPE_NOT_JSON},
    {"comma last in an object", "{'a':1,^}", TC_ENVELOPE_NOT_JSON},
    {"comma first in an object", "{^,}", TC_ENVELOPE_NOT_JSON},
    {"number as key", "{^1:2}", TC_ENVELOPE_NOT_JSON},
    {"word as key", "{'a':1,^b:2}", TC_ENVELOPE_NOT_JSON},
    {"nothing opened", "^]", TC_ENVELOPE_NOT_JSON},
    {"closed twice", "{}^}", TC_ENVELOPE_TRAILING},
    {"two documents on a line", "{}^{}", TC_ENVELOPE_TRAILING},
    {"two documents with a space between", "{} ^{}", TC_ENVELOPE_TRAILING},
    {"a list behind a document", "{}\n^[]", TC_ENVELOPE_TRAILING},
    {"a document behind a list", "[{}]\n^{}", TC_ENVELOPE_TRAILING},
    {"a document behind a word", "'a'\n^{}", TC_ENVELOPE_TRAILING},
    {"words behind two documents", "{}\n{}\n^x", TC_ENVELOPE_TRAILING},
    {"two documents, the second cut", "{}\n{", TC_ENVELOPE_TRUNCATED},
    {"open string", "'abc", TC_ENVELOPE_TRUNCATED},
    {"open escape", "'abc\\", TC_ENVELOPE_TRUNCATED},
    {"line feed in a string", "['a^\nb']", TC_ENVELOPE_NOT_JSON},
    {"tab in a key", "{'^\t':1}", TC_ENVELOPE_NOT_JSON},
    {"last control character in a string", "['^\x1f']", TC_ENVELOPE_NOT_JSON},
    {"NUL in a string", "['^~']", TC_ENVELOPE_NOT_JSON},
    {"control character behind half a pair", "['\\ud83d^\n']", TC_ENVELOPE_NOT_JSON},
    {"unknown escape", "['\\^x41']", TC_ENVELOPE_NOT_JSON},
    {"escaped NUL byte", "['\\^~']", TC_ENVELOPE_NOT_JSON},
    {"capital U", "['\\^U0041']", TC_ENVELOPE_NOT_JSON},
    {"escaped line feed", "['\\^\n']", TC_ENVELOPE_NOT_JSON},
    {"no hex digit", "['\\u00^g0']", TC_ENVELOPE_NOT_JSON},
    {"too few hex digits", "['\\u004^']", TC_ENVELOPE_NOT_JSON},
    {"sign among hex digits", "['\\u^+041']", TC_ENVELOPE_NOT_JSON},
    {"at sign among hex digits", "['\\u^@041']", TC_ENVELOPE_NOT_JSON},
    {"NUL among hex digits", "['\\u0^~41']", TC_ENVELOPE_NOT_JSON},
    {"nothing for an image", IN_IMAGE("^"), TC_ENVELOPE_NOT_JSON},
    {"a word for an image", IN_IMAGE("^QUJD"), TC_ENVELOPE_NOT_JSON},
    {"comma behind the last image", "{'images':['QQ==',^]}", TC_ENVELOPE_NOT_JSON},
    {"image left open", "{'images':['QUJD", TC_ENVELOPE_TRUNCATED},
    {"image left open in padding", "{'images':['QQ=", TC_ENVELOPE_TRUNCATED},
    {"control character in an image", IN_IMAGE("'QU^\nJD'"), TC_ENVELOPE_NOT_JSON},
    {"bad escape in an image", IN_IMAGE("'QU\\^+JD'"), TC_ENVELOPE_NOT_JSON},
    {"control character in a head", IN_URL("data:;ba^\nse64,QUJD"), TC_ENVELOPE_NOT_JSON},
    {"control character in a data URL", IN_URL("data:;base64,^\nQUJD"), TC_ENVELOPE_NOT_JSON},
    {"bad escape in a head", IN_URL("data:;ba\\^se64,QUJD"), TC_ENVELOPE_NOT_JSON},
    {"head left open", "{'urls':['data:;base64", TC_ENVELOPE_TRUNCATED},
    {"data URL left open", "{'urls':['data:;base64,QUJD", TC_ENVELOPE_TRUNCATED},
    {"prose left open", "{'prose':['data:;base64,QUJD x", TC_ENVELOPE_TRUNCATED},
    {"image in prose left open", "{'prose':['data:;base64,Q", TC_ENVELOPE_TRUNCATED},
    {"control character behind an image in prose", IN_PROSE("data:;base64,Q^\n"),
     TC_ENVELOPE_NOT_JSON},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct tc_envelope e;
        struct document d = document(wrong[i].json);
        size_t at = d.mark == SIZE_MAX ? d.size : d.mark;
        char text[128];
        parse(&e, &d, uncut);
        tc_envelope_describe(&e, text, sizeof(text));
        if (e.error != wrong[i].error || e.position != at)
            fail_msg("%s: \"%s\" at %u; wanted error %d at %zu", wrong[i].name, text,
                     (unsigned)e.position, wrong[i].error, at);
        tc_envelope_free(&e);
        free(d.bytes);
    }
}

static void test_wrong_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct document d = document(wrong[i].json);
        expect_at_every_cut(wrong[i].name, &d);
        free(d.bytes);
    }
}

/* The first error stays, with its place, whatever comes. */
static void test_errors_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct tc_envelope e;
        struct document d = document(wrong[i].json);
        parse(&e, &d, uncut);
        uint64_t position = e.position;
        size_t size = e.text.size;
        assert_false(feed(&e, "{}", 2));
        assert_false(feed(&e, "", 0));
        assert_false(tc_envelope_finish(&e));
        if (e.error != wrong[i].error || e.position != position || e.text.size != size)
            fail_msg("%s: changed by what came later", wrong[i].name);
        tc_envelope_free(&e);
        free(d.bytes);
    }
}

/* ---- pictures whose base64 is wrong ---- */

static const struct damaged {
    const char *name, *json;
    enum tc_base64_error error;
} damaged[] = {
    {"UTF-8 in an image", IN_IMAGE("'QUJD\xc3\xa9'"), TC_BASE64_CHARACTER},
    {"DEL in an image", IN_IMAGE("'QUJD\x7f'"), TC_BASE64_CHARACTER},
    {"escaped letter in an image", IN_IMAGE("'QUJD\\u00e9'"), TC_BASE64_CHARACTER},
    {"escaped NUL in an image", IN_IMAGE("'QUJD\\u0000'"), TC_BASE64_CHARACTER},
    {"backspace in an image", IN_IMAGE("'QUJD\\b'"), TC_BASE64_CHARACTER},
    {"quote in an image", IN_IMAGE("'QUJD\\''"), TC_BASE64_CHARACTER},
    {"backslash in an image", IN_IMAGE("'\\\\'"), TC_BASE64_CHARACTER},
    {"half a pair in an image", IN_IMAGE("'QUJD\\ud83d'"), TC_BASE64_CHARACTER},
    {"half a pair before a letter", IN_IMAGE("'QUJD\\ud83dQ'"), TC_BASE64_CHARACTER},
    {"half a pair before an escape", IN_IMAGE("'QUJD\\ud83d\\n'"), TC_BASE64_CHARACTER},
    {"other half of a pair", IN_IMAGE("'QUJD\\ude00'"), TC_BASE64_CHARACTER},
    {"a pair in an image", IN_IMAGE("'QQ\\ud83d\\ude00'"), TC_BASE64_CHARACTER},
    {"nothing but padding", IN_IMAGE("'='"), TC_BASE64_PADDING},
    {"too much padding", IN_IMAGE("'QQ==='"), TC_BASE64_PADDING},
    {"too little padding", IN_IMAGE("'QQ='"), TC_BASE64_PADDING},
    {"data behind padding", IN_IMAGE("'QQ==QQ=='"), TC_BASE64_PADDING},
    {"escaped padding in the wrong place", IN_IMAGE("'QUJD\\u003d'"), TC_BASE64_PADDING},
    {"one sextet too few", IN_IMAGE("'QUJDR'"), TC_BASE64_TRUNCATED},
    {"bits left over", IN_IMAGE("'QUJDQR=='"), TC_BASE64_TRAILING_BITS},
    {"bits left over without padding", IN_IMAGE("'QUJ'"), TC_BASE64_TRAILING_BITS},
    {"no base64 in a data URL", IN_URL("data:;base64,*"), TC_BASE64_CHARACTER},
    {"a data URL in a data URL", IN_URL("data:;base64,data:;base64,QQ=="), TC_BASE64_CHARACTER},
    {"a colon behind a data URL's head", IN_URL("data:;base64,:;base64,QQ=="), TC_BASE64_CHARACTER},
    {"padding first in a data URL", IN_URL("data:;base64,="), TC_BASE64_PADDING},
    {"white space in a data URL", IN_URL("data:;base64, "), TC_BASE64_TRUNCATED},
    {"half a pair in a data URL", IN_URL("data:;base64,\\ud83d"), TC_BASE64_CHARACTER},
    {"too little in a data URL", IN_URL("data:;base64,QUJDR"), TC_BASE64_TRUNCATED},
    {"the second of an object whose first is damaged",
     "{'data':[{'b64_json':'!','url':'data:;base64,QUJDR'}]}", TC_BASE64_TRUNCATED},
    {"a data URL and more", IN_URL("data:;base64,QUJD)"), TC_BASE64_CHARACTER},
    {"too little in prose", IN_PROSE("data:;base64,QUJDR) x"), TC_BASE64_TRUNCATED},
    {"too little at the end of prose", IN_PROSE("data:;base64,QUJDR"), TC_BASE64_TRUNCATED},
    {"too little before an escape", IN_PROSE("data:;base64,QUJDR\\n"), TC_BASE64_TRUNCATED},
    {"bits left over in prose", IN_PROSE("data:;base64,QR== x"), TC_BASE64_TRAILING_BITS},
    {"too little padding in prose", IN_PROSE("data:;base64,QQ=)"), TC_BASE64_PADDING},
    {"damaged second image in prose", IN_PROSE("data:;base64,QQ== data:;base64,Q "),
     TC_BASE64_TRUNCATED},
};

static const struct text {
    const char *name, *json;
    unsigned size;
} texts[] = {
    {"a data URL of text", IN_URL("data:text/plain;base64,QUJD"), 3},
    {"a data URL of text, escaped", IN_URL("data:tex\\u0074\\/plain;base64,QUJD"), 3},
    {"a data URL of text for base64", IN_IMAGE("'DATA:TEXT/HTML;base64,QUJD'"), 3},
    {"words in base64", IN_IMAGE("'bm8gcGljdHVyZQ=='"), 10},
    {"words in a data URL of a picture", IN_URL("data:image/png;base64,bm8gcGljdHVyZQ"), 10},
    {"hexadecimal digits in base64", IN_IMAGE("'ODk1MDRlNDcwZDBhMWEwYQ=='"), 16},
};

/* What is text is told as such, and is no picture. */
static void test_text_for_a_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct tc_envelope e;
        struct document d = document(texts[i].json);
        char told[128], wanted[128];
        parse(&e, &d, uncut);
        assert_int_equal(e.error, TC_ENVELOPE_OK);
        assert_int_equal(e.images.count, 1);
        assert_false(tc_image_is_whole(e.images.list[0]));
        tc_image_describe(e.images.list[0], 1, told, sizeof(told));
        snprintf(wanted, sizeof(wanted), "image 1 is no picture: its %u bytes are text",
                 texts[i].size);
        assert_string_equal(told, wanted);
        tc_envelope_free(&e);
        expect_at_every_cut(texts[i].name, &d);
        free(d.bytes);
    }
}

/* The document is right all the same, and the picture tells what is wrong. */
static void test_damaged_images(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(damaged); i++) {
        struct tc_envelope e;
        struct document d = document(damaged[i].json);
        parse(&e, &d, uncut);
        if (e.error || !e.images.count)
            fail_msg("%s: error %d, %u images", damaged[i].name, e.error, e.images.count);
        const struct tc_image *image = e.images.list[e.images.count - 1];
        if (!image->ended || image->fault != TC_IMAGE_DAMAGED ||
            image->base64_error != damaged[i].error)
            fail_msg("%s: fault %d, base64 %d", damaged[i].name, image->fault, image->base64_error);
        tc_envelope_free(&e);
        expect_at_every_cut(damaged[i].name, &d);
        free(d.bytes);
    }
}

static void feed_times(struct tc_envelope *e, const char *piece, int times)
{
    while (times-- > 0)
        tc_envelope_feed(e, piece, strlen(piece));
}

static void expect_description(const struct tc_envelope *e, enum tc_envelope_error error,
                               const char *wanted)
{
    char text[128];
    assert_int_equal(e->error, error);
    tc_envelope_describe(e, text, sizeof(text));
    assert_string_equal(text, wanted);
}

/* ---- pictures and their files' ends ---- */

/* PNG_2X3 in pieces, and parts of it. */
#define PNG_A          "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9"
#define PNG_B          "i18U1AAAAABJRU5ErkJggg"
#define PNG_HALF       "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAEElEQVR4"
#define GIF_1X1        "R0lGODdhAQABAAAAACwAAAAAAQABAAACAkQBADs="
#define STREAMED(text) "data: " text "\n\n"
#define GEMINI(parts)  "{'candidates':[{'content':{'parts':[" parts "]}}]}"

/* How each picture has ended: whole, cut, damaged, of an unknown type, a draft. */
static const struct ended {
    const char *name, *json;
    const char *envelope; /* NULL: like `json` */
    const char *ends;     /* a letter a picture: w c x u d */
} ended[] = {
    {"a whole file", "{'images':['" PNG_A PNG_B "==']}", "{'images':[1]}", "w"},
    {"a whole file without padding", "{'images':['" PNG_A PNG_B "']}", "{'images':[1]}", "w"},
    {"half a file", "{'images':['" PNG_HALF "']}", "{'images':[1]}", "c"},
    {"all but the last character", "{'images':['" PNG_A "i18U1AAAAABJRU5ErkJgg']}",
     "{'images':[1]}", "c"},
    {"two bytes of a file", "{'images':['iVA=']}", "{'images':[1]}", "c"},
    {"one sextet of a file", "{'images':['i']}", "{'images':[1]}", "x"},
    {"half a file and a sextet too few", "{'images':['" PNG_HALF "n']}", "{'images':[1]}", "c"},
    {"a whole file and more behind it",
     "{'images':['" PNG_A PNG_B "==" PNG_HALF "','" PNG_A PNG_B "==*','" PNG_A PNG_B "A','" PNG_A
     "i18U1AAAAABJRU5ErkJgggAAQUJD']}",
     "{'images':[1,2,3,4]}", "wwww"},
    {"something that is no base64 in a file", "{'images':['" PNG_HALF "*" PNG_B "','QUJD']}",
     "{'images':[1,2]}", "xu"},
    {"GIF", "{'images':['" GIF_1X1 "','R0lGODdhAQABAAAAACwAAAAAAQABAAACAkQB']}", "{'images':[1,2]}",
     "wc"},
    {"lines in a file",
     "{'images':['" PNG_A "\\r\\n" PNG_B "\\n==\\n'],'urls':['data:image/png;"
     "base64,\\n" PNG_A "\\n" PNG_B "=='],'prose':['![i](data:image/png;base64," PNG_A "\\n" PNG_B
     "==)','![i](data:image/png;base64," PNG_A "\\r\\n" PNG_B "\\r\\n)']}",
     "{'images':[1],'urls':[2],'prose':['![i]()','![i](\\u000d\\u000a)']}", "wwww"},
    {"white space behind the comma",
     "{'prose':['a data:;base64, \\n\\t" PNG_A PNG_B "== b','data:;base64, " PNG_HALF "',"
     "'data:;base64, /9j/ x','data:;base64, and more','data:;base64, data:;base64,QUJD',"
     "'data:;base64, iVBO','data:;base64, iVBx" PNG_A "','data:;base64,\\ud83d iVBORw0KGgo']}",
     "{'prose':['a  b','','','data:;base64, and more','data:;base64, ',"
     "'data:;base64, iVBO','data:;base64, iVBx" PNG_A "','data:;base64,\xef\xbf\xbd iVBORw0KGgo']}",
     "wccu"},
    {"white space behind a whole file",
     "{'prose':['data:;base64," PNG_A PNG_B "== and text','data:;base64," PNG_A PNG_B
     "\\nText','data:;base64," PNG_A PNG_B "%3D%3D more','data:;base64,QUJD text']}",
     "{'prose':[' and text','\\u000aText',' more',' text']}", "wwwu"},
    {"white space inside half a file", "{'prose':['data:;base64," PNG_HALF " And then. It ended']}",
     "{'prose':['. It ended']}", "c"},
    {"percent escapes",
     "{'urls':['data:image/jpeg;base64,%2F9j%2f%2B%2b%3D%3d','data:;base64,QU%4AD','data:;base64,"
     "QU%zz','data:;base64,QU%4','data:;base64,QU%','data:;base64,QU%254a'],'prose':['data:;base64,"
     "%2F9j/ x','data:;base64,%s and %d','data:;base64," PNG_A "%69%31"
     "8U1AAAAABJRU5ErkJggg%3D%3D"
     "%20','data:;base64," PNG_A "%']}",
     "{'urls':[1,2,3,4,5,6],'prose':['','data:;base64,%s and %d','%20','']}", "cuxxxxcwx"},
    {"the alphabet for URLs in a file",
     "{'urls':['data:image/jpeg;base64,_9j_2Q','data:image/jpeg;base64,/9j/2Q=='],'prose':["
     "'data:image/jpeg;base64,_9j_2Q)']}",
     "{'urls':[1,2],'prose':[')']}", "www"},

    /* documents that are lists, and streams of events */
    {"a list of documents", "[{'images':['QUJD']},{'images':['QUJD'],'urls':['data:;base64,QQ']}]",
     "[{'images':[1]},{'images':[2],'urls':[3]}]", "uuu"},
    {"a list in a list of documents", "[[{'images':['QUJD']}],{'images':[['QUJD']]}]", NULL, ""},
    {"events", STREAMED("{'images':['QUJD']}") STREAMED("{'images':['QUJD']}") STREAMED("[DONE]"),
     "[{'images':[1]},{'images':[2]}]", "uu"},
    {"events, their other fields and comments",
     ": PROCESSING\n\nevent: x\nid: 7\ndata:{'a':1}\nretry: 5\n\n:\n\nevent: end\n\ndata\n\ndatas: "
     "{"
     "\n\ndata: {'a':2}\n\n",
     "[{'a':1},{'a':2}]", ""},
    {"events with other line ends", "data: {'a':1}\r\n\r\ndata: {'a':2}\r\rdata: {'a':3}\r\n",
     "[{'a':1},{'a':2},{'a':3}]", ""},
    {"events without the line between", "data: {'a':1}\ndata: {'a':2}\ndata: [DONE]\n",
     "[{'a':1},{'a':2}]", ""},
    {"a document in several lines", "data: {'a':\ndata: [1,\ndata: 2]\ndata:}\n\n", "[{'a':[1,2]}]",
     ""},
    {"lists as events", "data: [1]\n\ndata: [ DONE]\n", NULL, NULL},
    {"numbers as events", "data: 1\n\ndata: 2\n\ndata: 3", "[1,2,3]", ""},
    {"an event and no end", STREAMED("{'images':['QUJD']}") "data: [DO", "[{'images':[1]}]", "u"},
    {"comments in front of a document", ": PROCESSING\n\n:\r\n{'images':['QUJD']}",
     "{'images':[1]}", "u"},
    {"a byte order mark in front of events", "\xef\xbb\xbf" STREAMED("{'a':1}"), "[{'a':1}]", ""},

    /* drafts */
    {"a draft before its mark",
     GEMINI("{'inlineData':{'data':'QUJD'},'thought':true},{'inlineData':{'data':'QUJD'}}"),
     GEMINI("{'inlineData':{'data':1},'thought':true},{'inlineData':{'data':2}}"), "du"},
    {"a draft behind its mark",
     GEMINI("{'thought':true,'inline_data':{'data':'QUJD'}},{'thought':false,'inlineData':{'data':"
            "'QUJD'}},{'thought':null,'inlineData':{'data':'QUJD'}}"),
     GEMINI("{'thought':true,'inline_data':{'data':1}},{'thought':false,'inlineData':{'data':"
            "2}},{'thought':null,'inlineData':{'data':3}}"),
     "duu"},
    {"marks elsewhere",
     "{'thought':true,'candidates':[{'thought':true,'content':{'thought':true,'parts':[{'x':{"
     "'thought':true},'inlineData':{'thought':true,'data':'QUJD'}},{'thought':'true'}]}}]}",
     "{'thought':true,'candidates':[{'thought':true,'content':{'thought':true,'parts':[{'x':{"
     "'thought':true},'inlineData':{'thought':true,'data':1}},{'thought':'true'}]}}]}",
     "u"},
    {"partial pictures of a stream",
     STREAMED("{'type':'image_generation.partial_image','b64_json':'QUJD'}")
         STREAMED("{'b64_json':'QUJD','type':'image_edit.partial_image'}")
             STREAMED("{'type':'image_generation.completed','b64_json':'QUJD'}"),
     "[{'type':'image_generation.partial_image','b64_json':1},{'b64_json':2,'type':"
     "'image_edit.partial_image'},{'type':'image_generation.completed','b64_json':3}]",
     "ddu"},
    {"a mark above other pictures",
     "{'type':'partial','images':['QUJD'],'candidates':[{'content':{'parts':[{'inlineData':{'data':"
     "'QUJD'}}]}}],'b64_json':'QUJD'}",
     "{'type':'partial','images':[1],'candidates':[{'content':{'parts':[{'inlineData':{'data':"
     "2}}]}}],'b64_json':3}",
     "dud"},
    {"a picture of the root beside those of lists",
     "[{'b64_json':'QUJD','data':[{'b64_json':'QUJD'}]},{'data':[{'b64_json':'QUJD'}],'b64_json':"
     "'QUJD'},{'data':[],'b64_json':'QUJD'}]",
     "[{'b64_json':1,'data':[{'b64_json':2}]},{'data':[{'b64_json':3}],'b64_json':4},{'data':[],"
     "'b64_json':5}]",
     "duudu"},

    /* pictures in the words of several documents */
    {"a picture over three documents",
     STREAMED(MESSAGE("'content':'![i](data:image/png;base64," PNG_A "'"))
         STREAMED(MESSAGE("'content':'i18U1AAAA'")) STREAMED(MESSAGE("'content':''"))
             STREAMED(MESSAGE("'role':'x','content':null"))
                 STREAMED(MESSAGE("'content':'ABJRU5ErkJggg==) and more'")),
     "[" MESSAGE("'content':'![i]('") "," MESSAGE("'content':''") "," MESSAGE(
         "'content':''") "," MESSAGE("'role':'x','content':null") "," MESSAGE("'content':') and "
                                                                              "more'") "]",
     "w"},
    {"a picture whose head is another document's",
     STREAMED(MESSAGE("'content':'![i](data:image/png;base64,'"))
         STREAMED(MESSAGE("'content':'" PNG_A "'")) STREAMED(MESSAGE("'content':'" PNG_B "==)'")),
     "[" MESSAGE("'content':'![i](data:image/png;base64,'") "," MESSAGE("'content':1") "," MESSAGE(
         "'content':')'") "]",
     "w"},
    {"a picture whose rest never comes",
     STREAMED(MESSAGE("'content':'data:image/png;base64," PNG_HALF "'")) STREAMED("{'a':1}"),
     "[" MESSAGE("'content':''") ",{'a':1}]", "c"},
    {"a picture whose rest never comes before another",
     STREAMED(MESSAGE("'content':'data:image/png;base64," PNG_HALF "'"))
         STREAMED("{'images':['QUJD']}") STREAMED(MESSAGE("'content':'QUJD'")),
     "[" MESSAGE("'content':''") ",{'images':[2]}," MESSAGE("'content':'QUJD'") "]", "cu"},
    {"half a picture in a document alone",
     MESSAGE("'content':'data:image/png;base64," PNG_HALF "'"), MESSAGE("'content':''"), "c"},
};

static char letter_of(const struct tc_image *image)
{
    if (image->held || !image->ended)
        return '?';
    if (image->draft)
        return 'd';
    if (image->fault)
        return image->fault == TC_IMAGE_CUT ? 'c' : 'x';
    return tc_signature_end(&image->signature) == TC_END_SEEN ? 'w' : 'u';
}

static void expect_ended(const struct ended *row, const struct tc_envelope *e)
{
    char got[TC_IMAGES + 1] = "";
    struct document wanted = document(row->envelope ? row->envelope : row->json);
    for (unsigned i = 0; i < e->images.count; i++)
        got[i] = letter_of(e->images.list[i]);
    if (e->error)
        fail_msg("%s: error %d at %u", row->name, e->error, (unsigned)e->position);
    expect_buffer(row->name, "envelope", &e->text, wanted.bytes, wanted.size);
    if (strcmp(got, row->ends) != 0)
        fail_msg("%s: pictures are %s instead of %s", row->name, got, row->ends);
    free(wanted.bytes);
}

static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ended); i++) {
        struct tc_envelope e;
        struct document d = document(ended[i].json);
        parse(&e, &d, uncut);
        if (ended[i].ends)
            expect_ended(&ended[i], &e);
        else
            assert_int_equal(e.error, TC_ENVELOPE_NOT_JSON);
        tc_envelope_free(&e);
        expect_at_every_cut(ended[i].name, &d);
        free(d.bytes);
    }
}

/* Words for a picture that is not whole. */
static void test_image_descriptions(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"{'images':['QUJD','iVBORw0KGgo=']}",
         "image 2 is cut short: its file does not end with its 8 bytes"},
        {"{'images':['QUJD*']}",
         "image 1 has a character that is not base64 (behind 3 bytes of the picture)"},
        {"{'images':['QUJDR']}",
         "image 1 has base64 that ends too early (behind 3 bytes of the picture)"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tc_envelope e;
        struct document d = document(rows[i].json);
        char text[128];
        parse(&e, &d, uncut);
        tc_image_describe(e.images.list[e.images.count - 1], e.images.count, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
        tc_envelope_free(&e);
        free(d.bytes);
    }
}

/* The bytes of a draft are not held where they are taken away as they come. */
static void test_streamed_drafts(void **state)
{
    static const char *const marks[][2] = {{"'thought':true,", ""}, {"", ",'thought':true"}};
    (void)state;
    for (size_t i = 0; i < COUNT(marks); i++) {
        char json[300];
        struct tc_envelope e;
        snprintf(json, sizeof(json), GEMINI("{%s'inlineData':{'data':'" PNG_A PNG_B "'}%s}"),
                 marks[i][0], marks[i][1]);
        struct document d = document(json);
        tc_envelope_init(&e, rules, RULES);
        e.images.streaming = true;
        feed(&e, d.bytes, d.size);
        assert_true(e.images.list[0]->draft && !e.images.list[0]->held && e.images.list[0]->ended);
        assert_int_equal(e.images.list[0]->bytes.size, 0);
        assert_int_equal(e.images.list[0]->size, 73);
        tc_envelope_free(&e);
        free(d.bytes);
    }
}

/* Beside pictures a string that nobody captures is kept to a length, and is null beyond it. */
static void test_long_strings(void **state)
{
    static const size_t pieces[] = {1, 1000, 100000};
    char *letters = block(100000);
    (void)state;
    memset(letters, 'x', 100000);
    for (size_t i = 0; i < COUNT(pieces) * 4; i++) {
        size_t size = TC_ENVELOPE_STRING - 1 + i % 4, done, length; /* and its quotation mark */
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        e.for_pictures = true;
        feed_cut(&e, "{\"a\":\"", 6, uncut);
        for (done = 0; done < size; done += length) {
            length = size - done < pieces[i / 4] ? size - done : pieces[i / 4];
            assert_true(tc_envelope_feed(&e, letters, length));
        }
        feed_cut(&e, "\\n\\u00e9\",\"images\":[\"QUJD\"]}", 28, (struct cut){0, 0, 3});
        assert_true(tc_envelope_finish(&e));
        expect_buffer("long string", "envelope", &e.text, "{\"a\":null,\"images\":[1]}", 23);
        tc_envelope_free(&e);
    }
    free(letters);
}

/* What no rule leads into is null once it has too many values, or too long. */
static void test_containers_aside(void **state)
{
    static const struct {
        const char *before, *piece, *behind, *envelope;
        int times;
    } rows[] = {
        {"{'x':[0", ",1", "],'images':['QUJD']}", NULL, 1022},
        {"{'x':[0", ",1", "],'images':['QUJD']}", "{'x':null,'images':[1]}", 1024},
        {"{'x':{'y':[0", ",[1,{'a':'b'}]", "]},'z':[1]}", "{'x':null,'z':[1]}", 500},
        {"{'x':[''", ",'12345678901234567890123456789012345678901234567890123456789012345678'",
         "],'z':[1]}", "{'x':null,'z':[1]}", 950},
        {"{'data':[{'b64_json':'QUJD','x':[0", ",1", "]},{'b64_json':'QUJD','y':[2]}]}",
         "{'data':[{'b64_json':1,'x':null},{'b64_json':2,'y':[2]}]}", 2000},
        {"{'x':[[", "[],", "[]],{}],'images':[null,['QUJD']]}",
         "{'x':null,'images':[null,['QUJD']]}", 20000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows) * 3; i++) {
        struct document before = document(rows[i / 3].before), piece = document(rows[i / 3].piece);
        struct document behind = document(rows[i / 3].behind);
        size_t size = before.size + piece.size * (size_t)rows[i / 3].times + behind.size;
        char *json = block(size), *at = json;
        memcpy(at, before.bytes, before.size);
        at += before.size;
        for (int n = 0; n < rows[i / 3].times; n++, at += piece.size)
            memcpy(at, piece.bytes, piece.size);
        memcpy(at, behind.bytes, behind.size);
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        e.for_pictures = true;
        feed_cut(&e, json, size, (struct cut){0, 0, i % 3 * 37 + (i % 3 == 1 ? 0 : 1)});
        if (!tc_envelope_finish(&e))
            fail_msg("row %zu: error %d", i / 3, e.error);
        if (rows[i / 3].envelope) {
            struct document wanted = document(rows[i / 3].envelope);
            expect_buffer("aside", "envelope", &e.text, wanted.bytes, wanted.size);
            free(wanted.bytes);
        } else {
            assert_true(e.text.size > 2000);
        }
        tc_envelope_free(&e);
        free(json);
        free(before.bytes);
        free(piece.bytes);
        free(behind.bytes);
    }
}

/* Where rules lead, too many values are an error; what was dropped does not count. */
static void test_number_of_values(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        e.for_pictures = true;
        feed_times(&e, "{\"x\":[0", 1);
        feed_times(&e, ",1", 20000);
        feed_times(&e, "],\"images\":[\"QUJD\"", 1);
        feed_times(&e, ",null",
                   TC_ENVELOPE_VALUES - 4 + more); /* the root, x, images, the picture */
        feed_times(&e, "]}", 1);
        tc_envelope_finish(&e);
        if (more)
            expect_description(&e, TC_ENVELOPE_TOO_MANY_VALUES,
                               "the response has more than 8192 values beside its images");
        else
            expect_description(&e, TC_ENVELOPE_OK, "no error");
        tc_envelope_free(&e);
    }
}

/* Of a long stream the pictures, the beginning and the end are kept. */
static void test_long_streams(void **state)
{
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    e.for_pictures = true;
    for (int i = 0; i < 5000; i++) {
        feed_times(&e, "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"},\"x\":[1,2]}]}\n\n",
                   1);
        feed_times(&e, i == 2500 ? "data: {\"images\":[\"QUJD\"]}\n\n" : "", 1);
    }
    feed_times(&e, "data: {\"usage\":7}\n\ndata: [DONE]\n\n", 1);
    assert_true(tc_envelope_finish(&e));
    expect_images("long stream", &e, "ABC");
    static const char end[] = ",{\"images\":[1]},{\"usage\":7}]";
    assert_true(e.text.size > 20000 && e.text.size < TC_ENVELOPE_BESIDE);
    assert_memory_equal(e.text.data + e.text.size - sizeof(end) + 1, end, sizeof(end) - 1);
    tc_envelope_free(&e);
}

/* Many of them do not lose the picture behind them either. */
static void test_many_strings(void **state)
{
    struct tc_envelope e;
    char *letters = block(60000);
    (void)state;
    memset(letters, 'x', 60000);
    tc_envelope_init(&e, rules, RULES);
    e.for_pictures = true;
    tc_envelope_feed(&e, "{\"a\":[\"\"", 8);
    for (int i = 0; i < 1000; i++) {
        tc_envelope_feed(&e, ",\"", 2);
        tc_envelope_feed(&e, letters, 60000);
        tc_envelope_feed(&e, "\"", 1);
    }
    tc_envelope_feed(&e, "],\"images\":[\"QUJD\"],\"error\":\"kept\"}", 35);
    assert_true(tc_envelope_finish(&e));
    expect_images("many strings", &e, "ABC");
    expect_buffer("many strings", "text", &e.texts[ERROR], "kept", 4);
    assert_true(e.text.size < TC_ENVELOPE_SIZE);
    tc_envelope_free(&e);
    free(letters);
}

/* ---- what is wrong, in words ---- */

static const struct worded {
    const char *json, *text;
} worded[] = {
    {"{}", "no error"},
    {"", "the response is empty"},
    {"[1,", "the response ends too early (after 3 bytes)"},
    {"<html>", "the response is not JSON (byte 0)"},
    {"[1,x]", "the response is not JSON (byte 3)"},
    {"{} {}", "the response has something behind its end (byte 3)"},
};

static void test_descriptions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(worded); i++) {
        struct tc_envelope e;
        struct document d = document(worded[i].json);
        char text[128], tiny[8];
        parse(&e, &d, uncut);
        tc_envelope_describe(&e, text, sizeof(text));
        assert_string_equal(text, worded[i].text);
        tc_envelope_describe(&e, tiny, sizeof(tiny));
        assert_int_equal(strlen(tiny), 7);
        assert_memory_equal(tiny, text, 7);
        tc_envelope_free(&e);
        free(d.bytes);
    }
}

/* ---- prose against a naive search ---- */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

/* Prose of pieces that heads are made of, and pictures, in lengths around those of vectors. */
static size_t write_prose(char *text, size_t room)
{
    static const char *const pieces[] = {"data:", "DATA:", ":", ";base64,", ",", "image/png",
                                         ")",     " ",     "=", "A data",   "-", "](data:;base64,"};
    size_t size = 0;
    while (size + 400 < room) {
        const char *piece = pieces[random_below(COUNT(pieces))];
        size_t length = strlen(piece), letters = random_below(8) ? 0 : random_below(70) * 4;
        memcpy(text + size, piece, length);
        size += length;
        memset(text + size, "AxA "[random_below(4)], letters);
        size += letters;
    }
    return size;
}

/* What should be left of it, and its pictures, each of which is compared. */
static size_t expect_prose(const struct tc_envelope *e, const char *text, size_t size, char *left)
{
    struct naive_url url;
    size_t from = 0, kept = 0;
    unsigned count = 0;
    for (; naive_find_url(text, size, from, &url); from = url.end) {
        unsigned char bytes[20000];
        memcpy(left + kept, text + from, url.start - from);
        kept += url.start - from;
        struct naive wanted = naive_decode(text + url.payload, url.end - url.payload, bytes);
        assert_true(count < e->images.count);
        const struct tc_image *image = e->images.list[count++];
        assert_int_equal(image->fault == TC_IMAGE_DAMAGED, wanted.error || !wanted.size);
        if (!wanted.error)
            expect_buffer("prose", "image", &image->bytes, (char *)bytes, wanted.size);
    }
    assert_int_equal(count, e->images.count);
    memcpy(left + kept, text + from, size - from);
    return kept + size - from;
}

static void test_prose_is_naive(void **state)
{
    static const struct tc_rule prose = {TC_CAPTURE_PROSE, {NULL}};
    enum { ROOM = 2000 };
    char text[ROOM], left[ROOM];
    unsigned images = 0;
    (void)state;
    for (int turn = 0; turn < 20000; turn++) {
        struct tc_envelope e;
        size_t size = write_prose(text + 1, 500 + random_below(ROOM - 502));
        tc_envelope_init(&e, &prose, 1);
        text[0] = text[size + 1] = '"';
        feed_cut(&e, text, size + 2, (struct cut){random_below(ROOM), 0, random_below(3) * 37});
        tc_envelope_finish(&e);
        size_t kept = expect_prose(&e, text + 1, size, left + 1);
        assert_false(e.error);
        left[0] = left[kept + 1] = '"';
        expect_buffer("prose", "envelope", &e.text, left, kept + 2);
        images += e.images.count;
        tc_envelope_free(&e);
    }
    assert_true(images > 1000);
}

/* ---- limits ---- */

static void test_depth(void **state)
{
    static const char *const pairs[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
    struct tc_envelope e;
    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        tc_envelope_init(&e, rules, RULES);
        feed_times(&e, pairs[i][0], TC_PATH_DEPTH);
        feed_times(&e, i ? "1" : "", 1);
        feed_times(&e, pairs[i][1], TC_PATH_DEPTH);
        assert_true(tc_envelope_finish(&e));
        tc_envelope_free(&e);

        tc_envelope_init(&e, rules, RULES);
        feed_times(&e, pairs[i][0], TC_PATH_DEPTH);
        uint64_t position = e.position;
        assert_int_equal(e.error, TC_ENVELOPE_OK);
        feed_times(&e, pairs[i][0], 1);
        assert_int_equal(e.error, TC_ENVELOPE_TOO_DEEP);
        assert_int_equal(e.position, position);
        tc_envelope_free(&e);
    }
    tc_envelope_init(&e, rules, RULES);
    feed_times(&e, "[", 5000);
    expect_description(&e, TC_ENVELOPE_TOO_DEEP, "the response nests deeper than 1000 (byte 1000)");
    tc_envelope_free(&e);
}

/* A string of `size` letters in a list, in pieces of `every` bytes. */
static void feed_long_string(struct tc_envelope *e, size_t size, size_t every)
{
    char *letters = block(every);
    memset(letters, 'x', every);
    tc_envelope_init(e, rules, RULES);
    tc_envelope_feed(e, "[\"", 2);
    for (size_t length; size; size -= length) {
        length = size < every ? size : every;
        tc_envelope_feed(e, letters, length);
    }
    tc_envelope_feed(e, "\"]", 2);
    free(letters);
}

static void test_envelope_size(void **state)
{
    static const size_t pieces[] = {1000, 65536, TC_ENVELOPE_SIZE * 2};
    struct tc_envelope e;
    (void)state;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        feed_long_string(&e, TC_ENVELOPE_SIZE - 4, pieces[i]);
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(e.text.size, TC_ENVELOPE_SIZE);
        tc_envelope_free(&e);
        feed_long_string(&e, TC_ENVELOPE_SIZE - 3, pieces[i]);
        assert_false(tc_envelope_finish(&e));
        assert_true(e.text.size <= TC_ENVELOPE_SIZE);
        expect_description(&e, TC_ENVELOPE_TOO_LARGE,
                           "the response has more than 4 MiB beside its images");
        tc_envelope_free(&e);
        feed_long_string(&e, TC_ENVELOPE_SIZE * 2, pieces[i]);
        assert_int_equal(e.error, TC_ENVELOPE_TOO_LARGE);
        tc_envelope_free(&e);
    }
}

/* White space and pictures do not count. */
static void test_what_does_not_count(void **state)
{
    enum { MEGABYTE = 1 << 20 };
    struct tc_envelope e;
    char *text = block(MEGABYTE);
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    memset(text, ' ', MEGABYTE);
    for (int i = 0; i < 5; i++)
        assert_true(tc_envelope_feed(&e, text, MEGABYTE));
    assert_true(tc_envelope_feed(&e, "{\"images\":[\"", 12));
    memset(text, 'A', MEGABYTE);
    for (int i = 0; i < 6; i++)
        assert_true(tc_envelope_feed(&e, text, MEGABYTE));
    assert_true(tc_envelope_feed(&e, "\"]}", 3));
    assert_true(tc_envelope_finish(&e));
    expect_buffer("large image", "envelope", &e.text, "{\"images\":[1]}", 14);
    assert_int_equal(e.images.list[0]->size, 6 * MEGABYTE / 4 * 3);
    tc_envelope_free(&e);
    free(text);
}

/* Nor do those in prose, whose text goes on as it did. */
static void test_large_image_in_prose(void **state)
{
    enum { MEGABYTE = 1 << 20 };
    struct tc_envelope e;
    char *text = block(MEGABYTE);
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    feed_times(&e, "{\"prose\":[\"![](data:image/png;base64,", 1);
    memset(text, 'A', MEGABYTE);
    for (int i = 0; i < 6; i++)
        assert_true(tc_envelope_feed(&e, text, MEGABYTE));
    feed_times(&e, ")\"]}", 1);
    assert_true(tc_envelope_finish(&e));
    expect_buffer("large image", "envelope", &e.text, "{\"prose\":[\"![]()\"]}", 19);
    assert_int_equal(e.images.list[0]->size, 6 * MEGABYTE / 4 * 3);
    tc_envelope_free(&e);
    free(text);
}

static void test_number_of_images(void **state)
{
    struct tc_envelope e;
    (void)state;
    for (int more = 0; more < 2; more++) {
        tc_envelope_init(&e, rules, RULES);
        feed_times(&e, "{\"images\":[\"\"", 1);
        feed_times(&e, ",\"QQ==\"", TC_IMAGES);
        feed_times(&e, ",null,\"\"", 10);
        feed_times(&e, more ? ",\"QQ==\"" : "", 1);
        feed_times(&e, "]}", 1);
        tc_envelope_finish(&e);
        assert_int_equal(e.images.count, TC_IMAGES);
        if (more)
            expect_description(&e, TC_ENVELOPE_TOO_MANY_IMAGES,
                               "the response has more than 64 images");
        else
            expect_description(&e, TC_ENVELOPE_OK, "no error");
        tc_envelope_free(&e);
    }
}

static void test_long_captured_text(void **state)
{
    static const size_t pieces[] = {1, 1000, 100000};
    char *letters = block(100000);
    (void)state;
    memset(letters, 'x', 100000);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        feed_times(&e, "{\"error\":\"", 1);
        for (size_t done = 0; done < 100000; done += pieces[i])
            tc_envelope_feed(&e, letters, pieces[i]);
        feed_times(&e, "\",\"detail\":[{\"msg\":1}],\"error\":\"y\"}", 1);
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(e.texts[ERROR].size, TC_ENVELOPE_TEXT);
        assert_int_equal(e.texts[ERROR].data[TC_ENVELOPE_TEXT - 1], 'x');
        assert_int_equal(e.texts[DETAIL].size, 1);
        assert_true(e.text.size > 100000);
        tc_envelope_free(&e);
    }
    free(letters);
}

/* All the rules that there may be, the last of them in use; and none at all. */
static void test_number_of_rules(void **state)
{
    struct tc_rule many[TC_PATH_RULES];
    struct tc_envelope e;
    (void)state;
    for (unsigned i = 0; i < TC_PATH_RULES; i++)
        many[i] = (struct tc_rule){TC_CAPTURE_TEXT, {"other"}};
    many[TC_PATH_RULES - 1].path[0] = "this";
    tc_envelope_init(&e, many, TC_PATH_RULES);
    feed_times(&e, "{\"this\":\"x\",\"other\":2}", 1);
    assert_true(tc_envelope_finish(&e));
    expect_buffer("last rule", "text", &e.texts[TC_PATH_RULES - 1], "x", 1);
    expect_buffer("first rule", "text", &e.texts[0], "2", 1);
    tc_envelope_free(&e);

    tc_envelope_init(&e, NULL, 0);
    feed_times(&e, "{\"data\":[{\"b64_json\":\"-\"}]}", 1);
    assert_true(tc_envelope_finish(&e));
    assert_int_equal(e.images.count, 0);
    tc_envelope_free(&e);
}

/* Keys that share all the letters which are kept with the one that a rule names are others. */
static void test_long_keys(void **state)
{
    enum { LONGEST = TC_ENVELOPE_KEY - 1 };
    char key[LONGEST + 1], json[1000];
    struct tc_rule rule = {TC_CAPTURE_TEXT, {key}};
    (void)state;
    memset(key, 'k', LONGEST);
    key[LONGEST] = '\0';
    snprintf(json, sizeof(json), "{'%sk':1,'%skk':2,'%s%s':3,'%s':4,'%.*s':5}", key, key, key, key,
             key, LONGEST - 1, key);
    struct document d = document(json);
    for (size_t every = 1; every <= d.size; every++) {
        struct tc_envelope e;
        tc_envelope_init(&e, &rule, 1);
        feed_cut(&e, d.bytes, d.size, (struct cut){0, 0, every});
        assert_true(tc_envelope_finish(&e));
        expect_buffer("long keys", "text", &e.texts[0], "4", 1);
        expect_buffer("long keys", "envelope", &e.text, d.bytes, d.size);
        tc_envelope_free(&e);
    }
    free(d.bytes);
}

/* The first rule is one like the others, and of two for the same place it is the one. */
static void test_first_rule(void **state)
{
    static const struct tc_rule list[] = {{TC_CAPTURE_TEXT, {"a", "[]"}},
                                          {TC_CAPTURE_TEXT, {"a", "[]"}}};
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, list, 2);
    feed_times(&e, "{\"a\":[1,\"two\",null,3]}", 1);
    assert_true(tc_envelope_finish(&e));
    expect_buffer("first rule", "text", &e.texts[0], "1; two; 3", 9);
    assert_int_equal(e.texts[1].size, 0);
    tc_envelope_free(&e);
}

/* A rule may name the document itself. */
static void test_rule_of_the_root(void **state)
{
    static const struct tc_rule image = {TC_CAPTURE_BASE64, {NULL}},
                                text = {TC_CAPTURE_TEXT, {NULL}};
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, &image, 1);
    feed_times(&e, " \"QUJD\"", 1);
    assert_true(tc_envelope_finish(&e));
    expect_images("root", &e, "ABC");
    expect_buffer("root", "envelope", &e.text, "1", 1);
    tc_envelope_free(&e);
    tc_envelope_init(&e, &text, 1);
    feed_times(&e, "-12.5", 1);
    assert_true(tc_envelope_finish(&e));
    expect_buffer("root", "text", &e.texts[0], "-12.5", 5);
    tc_envelope_free(&e);
}

/* ---- pictures on their way ---- */

static void test_signature(void **state)
{
    struct document d = document("{'images':['" PNG_2X3 "','QUJD']}");
    struct tc_envelope e;
    unsigned char bytes[128];
    (void)state;
    expect_at_every_cut("PNG", &d);
    parse(&e, &d, (struct cut){0, 0, 5});
    struct naive wanted = naive_decode(PNG_2X3, strlen(PNG_2X3), bytes);
    assert_int_equal(e.images.list[0]->size, wanted.size);
    assert_memory_equal(e.images.list[0]->bytes.data, bytes, wanted.size);
    assert_string_equal(e.images.list[0]->signature.mime, "image/png");
    assert_int_equal(e.images.list[0]->signature.width, 2);
    assert_int_equal(e.images.list[0]->signature.height, 3);
    assert_null(e.images.list[1]->signature.mime);
    tc_envelope_free(&e);
    free(d.bytes);
}

/* A picture can be seen, and its size is told, before it is whole. */
static void test_open_image(void **state)
{
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    feed_times(&e, "{\"images\":[\"", 1);
    assert_null(tc_images_open(&e.images));
    feed_times(&e, "QUJDQ", 1);
    struct tc_image *image = tc_images_open(&e.images);
    assert_non_null(image);
    assert_ptr_equal(image, e.images.list[0]);
    assert_int_equal(image->size, 3);
    assert_false(image->ended);
    feed_times(&e, "Q\"", 1);
    assert_null(tc_images_open(&e.images));
    assert_true(image->ended);
    assert_int_equal(image->size, 4);
    tc_envelope_free(&e);
}

/* Who hands the bytes on as they come finds all of them, and the scanner keeps counting. */
static void test_bytes_taken_away(void **state)
{
    struct document d = document("{'images':['" PNG_2X3 "']}");
    unsigned char bytes[128], taken[128];
    struct naive wanted = naive_decode(PNG_2X3, strlen(PNG_2X3), bytes);
    (void)state;
    for (size_t every = 1; every <= d.size; every++) {
        struct tc_envelope e;
        size_t size = 0, length;
        tc_envelope_init(&e, rules, RULES);
        for (size_t done = 0; done < d.size; done += length) {
            length = piece_length((struct cut){0, 0, every}, done, d.size);
            assert_true(feed(&e, d.bytes + done, length));
            if (!e.images.count)
                continue;
            struct tc_buffer *fresh = &e.images.list[0]->bytes;
            if (fresh->size)
                memcpy(taken + size, fresh->data, fresh->size);
            size += fresh->size;
            fresh->size = 0;
        }
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(size, wanted.size);
        assert_memory_equal(taken, bytes, size);
        assert_int_equal(e.images.list[0]->size, size);
        assert_int_equal(e.images.list[0]->signature.width, 2);
        tc_envelope_free(&e);
    }
    free(d.bytes);
}

static void free_image(struct tc_image *image)
{
    tc_buffer_free(&image->bytes);
    tc_free(image);
}

/* Whole pictures taken away in the middle of the parse leave numbers and the others as they are. */
static void test_images_taken_away(void **state)
{
    struct document d = document(
        "{'images':['QQ==','','QkI=','Q0ND'],'data':[{'b64_json':'RERERA=='},{'b64_json':null}]}");
    static const char *const wanted[] = {"A", "BB", "CCC", "DDDD"};
    (void)state;
    for (size_t every = 1; every <= d.size; every++) {
        struct tc_envelope e;
        unsigned taken = 0;
        size_t length;
        tc_envelope_init(&e, rules, RULES);
        for (size_t done = 0; done < d.size; done += length) {
            length = piece_length((struct cut){0, 0, every}, done, d.size);
            assert_true(feed(&e, d.bytes + done, length));
            for (; taken < e.images.count && e.images.list[taken]->ended; taken++) {
                struct tc_image *image = e.images.list[taken];
                expect_buffer("taken", "image", &image->bytes, wanted[taken],
                              strlen(wanted[taken]));
                free_image(image);
                e.images.list[taken] = NULL;
            }
            assert_true(!tc_images_open(&e.images) || taken < e.images.count);
        }
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(taken, 4);
        assert_null(tc_images_open(&e.images));
        struct document left =
            document("{'images':[1,'',2,3],'data':[{'b64_json':4},{'b64_json':null}]}");
        expect_buffer("taken", "envelope", &e.text, left.bytes, left.size);
        free(left.bytes);
        tc_envelope_free(&e);
    }
    free(d.bytes);
}

static int allocations;

static void *counted(void *old, size_t size)
{
    allocations++;
    return realloc(old, size);
}

/* What the whole input has is room enough for any picture in it: no byte is moved twice. */
static void test_expected_size(void **state)
{
    enum { SIZE = 1 << 20 };
    char *text = block(SIZE);
    (void)state;
    memset(text, 'A', SIZE);
    tc_alloc_hook(counted);
    for (int known = 0; known < 3; known++) {
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        e.expected = known == 0 ? 0 : known == 1 ? 5 : SIZE + 15; /* not, far too little, right */
        feed_times(&e, "{\"images\":[\"", 1);
        feed_times(&e, "AAAA", 1);
        const unsigned char *data = e.images.list[0]->bytes.data;
        allocations = 0;
        for (size_t done = 4; done < SIZE; done += 4)
            assert_true(tc_envelope_feed(&e, text + done, 4));
        feed_times(&e, "\"]}", 1);
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(e.images.list[0]->size, SIZE / 4 * 3);
        if (known == 2) {
            assert_ptr_equal(e.images.list[0]->bytes.data, data);
            assert_true(allocations < 8); /* the envelope's */
        } else {
            assert_true(allocations > 8);
        }
        tc_envelope_free(&e);
    }
    tc_alloc_hook(NULL);
    free(text);
}

/* ---- pictures that are no JSON ---- */

static const char alone[] = "{\"data\":[{\"b64_json\":1}]}";

/* Known to be one, or told by its first byte. */
static void test_picture_alone(void **state)
{
    unsigned char bytes[128];
    struct naive png = naive_decode(PNG_2X3, strlen(PNG_2X3), bytes);
    (void)state;
    for (size_t every = 1; every <= 2 * png.size; every++) {
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        e.raw = every % 2;
        e.for_pictures = !e.raw;
        assert_true(tc_envelope_feed(&e, "", 0));
        for (size_t done = 0, length; done < png.size; done += length) {
            length = piece_length((struct cut){0, 0, (every + 1) / 2}, done, png.size);
            assert_true(tc_envelope_feed(&e, (char *)bytes + done, length));
            assert_int_equal(e.position, done + length);
            assert_ptr_equal(tc_images_open(&e.images), e.images.list[0]);
        }
        assert_true(tc_envelope_finish(&e));
        assert_null(tc_images_open(&e.images));
        assert_int_equal(e.images.count, 1);
        assert_true(tc_image_is_whole(e.images.list[0]));
        assert_int_equal(e.images.list[0]->size, png.size);
        assert_memory_equal(e.images.list[0]->bytes.data, bytes, png.size);
        assert_string_equal(e.images.list[0]->signature.mime, "image/png");
        assert_int_equal(e.images.list[0]->signature.width, 2);
        expect_buffer("picture", "envelope", &e.text, alone, sizeof(alone) - 1);
        tc_envelope_reset(&e); /* for JSON, next */
        feed_times(&e, "{\"images\":[\"QUJD\"]}", 1);
        assert_true(tc_envelope_finish(&e));
        expect_images("behind a picture", &e, "ABC");
        tc_envelope_free(&e);
    }
}

static void test_picture_alone_cut_short(void **state)
{
    unsigned char bytes[128];
    struct naive png = naive_decode(PNG_2X3, strlen(PNG_2X3), bytes);
    (void)state;
    for (size_t size = 1; size < png.size; size++) {
        struct tc_envelope e;
        tc_envelope_init(&e, rules, RULES);
        e.raw = true;
        assert_true(tc_envelope_feed(&e, (char *)bytes, size));
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(e.images.list[0]->fault, TC_IMAGE_CUT);
        tc_envelope_free(&e);
    }
}

static void test_no_picture(void **state)
{
    static const char *const others[] = {"Gateway timeout",
                                         "Rate limit reached",
                                         "\x89 and something else",
                                         "\xff\xfe{",
                                         "RATE LIMIT",
                                         "R0lGODlhAQABAAAAACw",
                                         "G"};
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    e.raw = true;
    assert_false(tc_envelope_finish(&e));
    expect_description(&e, TC_ENVELOPE_TRUNCATED, "the response is empty");
    assert_false(tc_envelope_feed(&e, "x", 1));
    assert_false(tc_envelope_finish(&e));
    assert_int_equal(e.images.count, 0);
    tc_envelope_free(&e);
    for (size_t i = 0; i < COUNT(others); i++) {
        tc_envelope_init(&e, rules, RULES);
        e.for_pictures = true;
        bool taken = tc_envelope_feed(&e, others[i], strlen(others[i]));
        assert_int_equal(taken, !others[i][1]); /* at once, but for what may yet be one */
        assert_false(tc_envelope_finish(&e));
        assert_int_equal(e.error, TC_ENVELOPE_NOT_JSON);
        assert_int_equal(e.position, taken);
        tc_envelope_free(&e);
    }
}

/* Its buffer is the spare one where that will do, else one of the size that is expected; when the
 * bytes are taken away as they come, neither grows. */
static void test_memory_of_a_picture_alone(void **state)
{
    enum { SIZE = 100000, PIECE = 1000 };
    char *bytes = block(SIZE);
    struct tc_buffer spare = {NULL, 0, 0};
    struct tc_envelope e;
    (void)state;
    memset(bytes, 'x', SIZE);
    tc_envelope_init(&e, rules, RULES);
    e.images.spare = &spare;
    for (int turn = 0; turn < 4; turn++) {
        const unsigned char *data = spare.data;
        e.expected = SIZE;
        e.raw = true;
        e.images.streaming = turn == 3;
        for (size_t done = 0; done < SIZE; done += PIECE) {
            assert_true(tc_envelope_feed(&e, bytes + done, PIECE));
            assert_true(done == 0 || e.images.list[0]->bytes.data == data);
            data = e.images.list[0]->bytes.data;
            if (e.images.streaming)
                e.images.list[0]->bytes.size = 0;
        }
        assert_true(tc_envelope_finish(&e));
        assert_int_equal(e.images.list[0]->size, SIZE);
        assert_int_equal(e.images.list[0]->bytes.capacity, e.images.streaming ? PIECE : SIZE);
        tc_envelope_reset(&e);
        assert_ptr_equal(spare.data, data);
        if (turn == 2)
            tc_buffer_free(&spare); /* so that the next one has its own */
    }
    tc_envelope_free(&e);
    tc_buffer_free(&spare);
    free(bytes);
}

/* ---- buffers used again ---- */

/* Whatever was parsed before, wrong or half, the next document is read as if it were the first. */
static void test_reset(void **state)
{
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    for (size_t i = 0; i < COUNT(right) * COUNT(wrong); i++) {
        struct document before = document(wrong[i % COUNT(wrong)].json);
        struct document d = document(right[i / COUNT(wrong)].json);
        feed(&e, before.bytes, before.size);
        tc_envelope_reset(&e);
        feed(&e, d.bytes, d.size);
        tc_envelope_finish(&e);
        expect_right(&right[i / COUNT(wrong)], &e);
        tc_envelope_reset(&e);
        free(d.bytes);
        free(before.bytes);
    }
    tc_envelope_free(&e);
}

/* A spare buffer of any size, and none, make no difference to what comes out. */
static void test_spare_changes_nothing(void **state)
{
    static const size_t capacities[] = {0, 1, 5, 64, 1000};
    (void)state;
    for (size_t i = 0; i < COUNT(right) * COUNT(capacities) * 4; i++) {
        size_t row = i / (COUNT(capacities) * 4), capacity = capacities[i / 4 % COUNT(capacities)];
        static const size_t pieces[] = {1, 3, 16, 100000};
        struct document d = document(right[row].json);
        struct tc_buffer spare = {NULL, 0, 0};
        struct tc_envelope e;
        assert_true(tc_buffer_reserve(&spare, capacity));
        tc_envelope_init(&e, rules, RULES);
        e.images.spare = &spare;
        e.expected = i % 3 ? d.size : 0;
        e.images.streaming = i % 2;
        feed_cut(&e, d.bytes, d.size, (struct cut){0, 0, pieces[i % 4]});
        tc_envelope_finish(&e);
        expect_right(&right[row], &e);
        tc_envelope_free(&e);
        assert_int_equal(spare.size, 0);
        tc_buffer_free(&spare);
        free(d.bytes);
    }
}

/* The memory of one picture becomes that of the next, in the same document or another. */
static void test_spare_is_used(void **state)
{
    struct tc_buffer spare = {NULL, 0, 0};
    struct tc_envelope e;
    (void)state;
    assert_true(tc_buffer_reserve(&spare, 10000));
    const unsigned char *data = spare.data;
    tc_envelope_init(&e, rules, RULES);
    e.images.spare = &spare;
    for (int document_number = 0; document_number < 3; document_number++) {
        feed_times(&e, "{\"images\":[\"QUJD\"", 1);
        assert_ptr_equal(e.images.list[0]->bytes.data, data);
        assert_null(spare.data);
        tc_images_drop(&e.images, 0);
        assert_null(e.images.list[0]);
        assert_ptr_equal(spare.data, data);
        tc_images_drop(&e.images, 0);
        feed_times(&e, ",\"REVG\",\"QQ==\"]}", 1);
        assert_ptr_equal(e.images.list[1]->bytes.data, data);
        assert_ptr_not_equal(e.images.list[2]->bytes.data, data);
        assert_true(tc_envelope_finish(&e));
        assert_memory_equal(e.images.list[1]->bytes.data, "DEF", 3);
        assert_memory_equal(e.images.list[2]->bytes.data, "A", 1);
        tc_envelope_reset(&e);
        assert_ptr_equal(spare.data, data);
    }
    tc_envelope_free(&e);
    tc_buffer_free(&spare);
}

/* ---- no memory ---- */

static int fail_at;
static bool fail_on; /* from there on, not once */
static struct tc_buffer torture_spare;

static void *failing(void *old, size_t size)
{
    allocations++;
    if (allocations == fail_at || (fail_on && allocations > fail_at))
        return NULL;
    return realloc(old, size);
}

static const char *const torture[] = {
    "{'created':1,'data':[{'b64_json':'" PNG_2X3 "','revised_prompt':'a \\u00e9 kite'}]}",
    "{'images':['QQ==','QkI=','','Q0ND',null],'detail':[{'msg':'one'},{'msg':2},{'msg':'\\n'}]}",
    "{'error':{'message':'a long text whose buffer has to grow more than once','code':1.5e3}}",
    "{'error':'\\ud83d\\ude00\\ud83d','a':{'b':[{'c':{'d':'deep'}}]}}",
    "{'images':['QQ==','Q*']}",
    "{'urls':['data:image/png;base64,QUJD','data:x','https://example.org/a/long/path/to/x.png']}",
    "{'prose':['![image](data:image/png;base64," PNG_2X3 ") and data:;base64,\\u0051Q== : so']}",
    "[[[[1,2,{'a':true}]]]] x",
};

/* One document with memory short at one place: an error, or the result that there should be. */
static void torture_once(const struct document *d, struct cut cut, uint64_t expected,
                         const struct tc_envelope *wanted, size_t row)
{
    struct tc_envelope e;
    allocations = 0;
    tc_alloc_hook(failing);
    tc_envelope_init(&e, rules, RULES);
    e.expected = expected;
    e.images.spare = &torture_spare;
    feed_cut(&e, d->bytes, d->size, cut);
    bool good = tc_envelope_finish(&e);
    tc_alloc_hook(NULL);
    assert_true(good == !e.error);
    if (e.error == TC_ENVELOPE_NO_MEMORY) {
        expect_description(&e, TC_ENVELOPE_NO_MEMORY, "not enough memory");
        assert_false(feed(&e, "x", 1));
        assert_int_equal(e.error, TC_ENVELOPE_NO_MEMORY);
    } else if (difference(wanted, &e)) {
        fail_msg("document %zu, allocation %d fails%s: %s differs", row, fail_at,
                 fail_on ? " and all behind it" : "", difference(wanted, &e));
    }
    tc_envelope_free(&e);
}

static void test_no_memory(void **state)
{
    static const struct cut cuts[] = {{0, 0, 0}, {0, 0, 1}, {0, 0, 7}};
    (void)state;
    for (size_t i = 0; i < COUNT(torture) * COUNT(cuts) * 2; i++) {
        struct document d = document(torture[i / (COUNT(cuts) * 2)]);
        struct cut cut = cuts[i / 2 % COUNT(cuts)];
        struct tc_envelope wanted;
        parse(&wanted, &d, cut);
        for (int on = 0; on < 2; on++) {
            fail_on = on;
            fail_at = 0;
            do {
                fail_at++;
                torture_once(&d, cut, i % 2 ? d.size : 0, &wanted, i / (COUNT(cuts) * 2));
                tc_buffer_free(&torture_spare);
            } while (allocations >= fail_at);
            assert_true(fail_at > 3);
        }
        tc_envelope_free(&wanted);
        free(d.bytes);
    }
}

static void test_freeing(void **state)
{
    struct tc_envelope e;
    (void)state;
    tc_envelope_init(&e, rules, RULES);
    tc_envelope_free(&e);
    feed_times(&e, "{\"images\":[\"QUJD", 1);
    tc_envelope_free(&e);
    tc_envelope_free(&e);
    assert_int_equal(e.images.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_right_at_every_cut),
        cmocka_unit_test(test_cut_short_at_every_byte),
        cmocka_unit_test(test_trailing_garbage),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_wrong_at_every_cut),
        cmocka_unit_test(test_errors_are_kept),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_prose_is_naive),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_envelope_size),
        cmocka_unit_test(test_what_does_not_count),
        cmocka_unit_test(test_large_image_in_prose),
        cmocka_unit_test(test_number_of_images),
        cmocka_unit_test(test_long_captured_text),
        cmocka_unit_test(test_number_of_rules),
        cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_first_rule),
        cmocka_unit_test(test_rule_of_the_root),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_open_image),
        cmocka_unit_test(test_bytes_taken_away),
        cmocka_unit_test(test_images_taken_away),
        cmocka_unit_test(test_expected_size),
        cmocka_unit_test(test_damaged_images),
        cmocka_unit_test(test_text_for_a_picture),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_image_descriptions),
        cmocka_unit_test(test_streamed_drafts),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_many_strings),
        cmocka_unit_test(test_containers_aside),
        cmocka_unit_test(test_number_of_values),
        cmocka_unit_test(test_long_streams),
        cmocka_unit_test(test_picture_alone),
        cmocka_unit_test(test_picture_alone_cut_short),
        cmocka_unit_test(test_no_picture),
        cmocka_unit_test(test_memory_of_a_picture_alone),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_spare_changes_nothing),
        cmocka_unit_test(test_spare_is_used),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_freeing),
    };
    int failed = 0;
    for (enum tc_base64_path path = TC_BASE64_SCALAR; path <= TC_BASE64_NEON; path++)
        if (tc_base64_take_path(path))
            failed += cmocka_run_group_tests_name(tc_base64_path_name(), tests, NULL, NULL);
    return failed;
}
