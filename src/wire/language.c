/* SPDX-License-Identifier: MIT */
/*
 * See language.h. Tables are searched from the start: a film has a few tracks, and is asked once.
 */
#include "wire/language.h"

#include "base/assert.h"

/* ISO 639-2 (terminology), ISO 639-1 or nothing, name: all that have two letters, and those without
 * that films are in. */
static const struct language {
    char code[4], short_code[3];
    const char *name;
} languages[] = {
    {"aar", "aa", "Afar"},
    {"abk", "ab", "Abkhazian"},
    {"afr", "af", "Afrikaans"},
    {"aka", "ak", "Akan"},
    {"amh", "am", "Amharic"},
    {"ara", "ar", "Arabic"},
    {"arg", "an", "Aragonese"},
    {"asm", "as", "Assamese"},
    {"ast", "", "Asturian"},
    {"ava", "av", "Avaric"},
    {"ave", "ae", "Avestan"},
    {"aym", "ay", "Aymara"},
    {"aze", "az", "Azerbaijani"},
    {"bak", "ba", "Bashkir"},
    {"bam", "bm", "Bambara"},
    {"bel", "be", "Belarusian"},
    {"ben", "bn", "Bangla"},
    {"bih", "bh", "Bihari languages"},
    {"bis", "bi", "Bislama"},
    {"bod", "bo", "Tibetan"},
    {"bos", "bs", "Bosnian"},
    {"bre", "br", "Breton"},
    {"bul", "bg", "Bulgarian"},
    {"cat", "ca", "Catalan"},
    {"ceb", "", "Cebuano"},
    {"ces", "cs", "Czech"},
    {"cha", "ch", "Chamorro"},
    {"che", "ce", "Chechen"},
    {"chu", "cu", "Church Slavic"},
    {"chv", "cv", "Chuvash"},
    {"cor", "kw", "Cornish"},
    {"cos", "co", "Corsican"},
    {"cre", "cr", "Cree"},
    {"cym", "cy", "Welsh"},
    {"dan", "da", "Danish"},
    {"deu", "de", "German"},
    {"div", "dv", "Divehi"},
    {"dsb", "", "Lower Sorbian"},
    {"dzo", "dz", "Dzongkha"},
    {"ell", "el", "Greek"},
    {"eng", "en", "English"},
    {"epo", "eo", "Esperanto"},
    {"est", "et", "Estonian"},
    {"eus", "eu", "Basque"},
    {"ewe", "ee", "Ewe"},
    {"fao", "fo", "Faroese"},
    {"fas", "fa", "Persian"},
    {"fij", "fj", "Fijian"},
    {"fil", "", "Filipino"},
    {"fin", "fi", "Finnish"},
    {"fra", "fr", "French"},
    {"fry", "fy", "Western Frisian"},
    {"ful", "ff", "Fulah"},
    {"fur", "", "Friulian"},
    {"gla", "gd", "Scottish Gaelic"},
    {"gle", "ga", "Irish"},
    {"glg", "gl", "Galician"},
    {"glv", "gv", "Manx"},
    {"grc", "", "Ancient Greek"},
    {"grn", "gn", "Guarani"},
    {"gsw", "", "Swiss German"},
    {"guj", "gu", "Gujarati"},
    {"hat", "ht", "Haitian Creole"},
    {"hau", "ha", "Hausa"},
    {"haw", "", "Hawaiian"},
    {"heb", "he", "Hebrew"},
    {"her", "hz", "Herero"},
    {"hin", "hi", "Hindi"},
    {"hmo", "ho", "Hiri Motu"},
    {"hrv", "hr", "Croatian"},
    {"hsb", "", "Upper Sorbian"},
    {"hun", "hu", "Hungarian"},
    {"hye", "hy", "Armenian"},
    {"ibo", "ig", "Igbo"},
    {"ido", "io", "Ido"},
    {"iii", "ii", "Sichuan Yi"},
    {"iku", "iu", "Inuktitut"},
    {"ile", "ie", "Interlingue"},
    {"ina", "ia", "Interlingua"},
    {"ind", "id", "Indonesian"},
    {"ipk", "ik", "Inupiaq"},
    {"isl", "is", "Icelandic"},
    {"ita", "it", "Italian"},
    {"jav", "jv", "Javanese"},
    {"jpn", "ja", "Japanese"},
    {"kab", "", "Kabyle"},
    {"kal", "kl", "Kalaallisut"},
    {"kan", "kn", "Kannada"},
    {"kas", "ks", "Kashmiri"},
    {"kat", "ka", "Georgian"},
    {"kau", "kr", "Kanuri"},
    {"kaz", "kk", "Kazakh"},
    {"khm", "km", "Central Khmer"},
    {"kik", "ki", "Kikuyu"},
    {"kin", "rw", "Kinyarwanda"},
    {"kir", "ky", "Kyrgyz"},
    {"kom", "kv", "Komi"},
    {"kon", "kg", "Kongo"},
    {"kor", "ko", "Korean"},
    {"kua", "kj", "Kuanyama"},
    {"kur", "ku", "Kurdish"},
    {"lao", "lo", "Lao"},
    {"lat", "la", "Latin"},
    {"lav", "lv", "Latvian"},
    {"lim", "li", "Limburgish"},
    {"lin", "ln", "Lingala"},
    {"lit", "lt", "Lithuanian"},
    {"ltz", "lb", "Luxembourgish"},
    {"lub", "lu", "Luba-Katanga"},
    {"lug", "lg", "Ganda"},
    {"mah", "mh", "Marshallese"},
    {"mal", "ml", "Malayalam"},
    {"mar", "mr", "Marathi"},
    {"mkd", "mk", "Macedonian"},
    {"mlg", "mg", "Malagasy"},
    {"mlt", "mt", "Maltese"},
    {"mon", "mn", "Mongolian"},
    {"mri", "mi", "Maori"},
    {"msa", "ms", "Malay"},
    {"mul", "", "Multiple languages"},
    {"mya", "my", "Burmese"},
    {"nau", "na", "Nauru"},
    {"nav", "nv", "Navajo"},
    {"nbl", "nr", "South Ndebele"},
    {"nde", "nd", "North Ndebele"},
    {"ndo", "ng", "Ndonga"},
    {"nds", "", "Low German"},
    {"nep", "ne", "Nepali"},
    {"nld", "nl", "Dutch"},
    {"nno", "nn", "Norwegian Nynorsk"},
    {"nob", "nb", "Norwegian Bokmål"},
    {"nor", "no", "Norwegian"},
    {"nya", "ny", "Chichewa"},
    {"oci", "oc", "Occitan"},
    {"oji", "oj", "Ojibwa"},
    {"ori", "or", "Oriya"},
    {"orm", "om", "Oromo"},
    {"oss", "os", "Ossetian"},
    {"pan", "pa", "Punjabi"},
    {"pli", "pi", "Pali"},
    {"pol", "pl", "Polish"},
    {"por", "pt", "Portuguese"},
    {"pus", "ps", "Pashto"},
    {"que", "qu", "Quechua"},
    {"roh", "rm", "Romansh"},
    {"ron", "ro", "Romanian"},
    {"run", "rn", "Rundi"},
    {"rus", "ru", "Russian"},
    {"sag", "sg", "Sango"},
    {"san", "sa", "Sanskrit"},
    {"scn", "", "Sicilian"},
    {"sco", "", "Scots"},
    {"sin", "si", "Sinhala"},
    {"slk", "sk", "Slovak"},
    {"slv", "sl", "Slovenian"},
    {"sme", "se", "Northern Sami"},
    {"smo", "sm", "Samoan"},
    {"sna", "sn", "Shona"},
    {"snd", "sd", "Sindhi"},
    {"som", "so", "Somali"},
    {"sot", "st", "Southern Sotho"},
    {"spa", "es", "Spanish"},
    {"sqi", "sq", "Albanian"},
    {"srd", "sc", "Sardinian"},
    {"srp", "sr", "Serbian"},
    {"ssw", "ss", "Swati"},
    {"sun", "su", "Sundanese"},
    {"swa", "sw", "Swahili"},
    {"swe", "sv", "Swedish"},
    {"tah", "ty", "Tahitian"},
    {"tam", "ta", "Tamil"},
    {"tat", "tt", "Tatar"},
    {"tel", "te", "Telugu"},
    {"tgk", "tg", "Tajik"},
    {"tgl", "tl", "Tagalog"},
    {"tha", "th", "Thai"},
    {"tir", "ti", "Tigrinya"},
    {"ton", "to", "Tongan"},
    {"tsn", "tn", "Tswana"},
    {"tso", "ts", "Tsonga"},
    {"tuk", "tk", "Turkmen"},
    {"tur", "tr", "Turkish"},
    {"twi", "tw", "Twi"},
    {"uig", "ug", "Uyghur"},
    {"ukr", "uk", "Ukrainian"},
    {"urd", "ur", "Urdu"},
    {"uzb", "uz", "Uzbek"},
    {"ven", "ve", "Venda"},
    {"vie", "vi", "Vietnamese"},
    {"vol", "vo", "Volapük"},
    {"wln", "wa", "Walloon"},
    {"wol", "wo", "Wolof"},
    {"xho", "xh", "Xhosa"},
    {"yid", "yi", "Yiddish"},
    {"yor", "yo", "Yoruba"},
    {"zha", "za", "Zhuang"},
    {"zho", "zh", "Chinese"},
    {"zul", "zu", "Zulu"},
};

/* Twenty languages have a second code of three letters (bibliographic): it, and the one above. */
static const struct {
    char bibliographic[4], code[4];
} second_codes[] = {{"tib", "bod"}, {"cze", "ces"}, {"wel", "cym"}, {"ger", "deu"}, {"gre", "ell"},
                    {"baq", "eus"}, {"per", "fas"}, {"fre", "fra"}, {"arm", "hye"}, {"ice", "isl"},
                    {"geo", "kat"}, {"mac", "mkd"}, {"mao", "mri"}, {"may", "msa"}, {"bur", "mya"},
                    {"dut", "nld"}, {"rum", "ron"}, {"slo", "slk"}, {"alb", "sqi"}, {"chi", "zho"}};

/* Of a code of two or three letters; NULL: not known. */
static const struct language *find(struct leat_slice code)
{
    for (size_t index = 0; index < sizeof second_codes / sizeof *second_codes; index++)
        if (slice_equal_nocase(code, slice_from_text(second_codes[index].bibliographic)))
            code = slice_from_text(second_codes[index].code);
    for (size_t index = 0; index < sizeof languages / sizeof *languages; index++)
        if (slice_equal_nocase(code, slice_from_text(languages[index].code)) ||
            (code.size > 0 &&
             slice_equal_nocase(code, slice_from_text(languages[index].short_code))))
            return &languages[index];
    return NULL;
}

static bool is_separator(char c)
{
    return c == '-' || c == '_';
}

/* Up to a separator, or the end. */
static struct leat_slice first_subtag(struct leat_slice tag)
{
    size_t size = 0;
    while (size < tag.size && !is_separator(tag.data[size]))
        size++;
    return slice_of(tag.data, size);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Letters of ASCII, and digits where they may be. */
static bool is_subtag(struct leat_slice subtag, size_t size_min, size_t size_max, bool has_digits)
{
    for (size_t at = 0; at < subtag.size; at++) {
        const char c = lower(subtag.data[at]);
        if (!(c >= 'a' && c <= 'z') && !(has_digits && c >= '0' && c <= '9'))
            return false;
    }
    return subtag.size >= size_min && subtag.size <= size_max;
}

bool language_tag(struct leat_slice code, char ret_tag[LANGUAGE_TAG_SIZE])
{
    const struct leat_slice first = first_subtag(code);
    if (code.size >= LANGUAGE_TAG_SIZE || !is_subtag(first, 2, 3, false) ||
        slice_equal_nocase(first, SLICE("und")))
        return false;
    char tag[LANGUAGE_TAG_SIZE];
    const struct language *known = find(first);
    const struct leat_slice written =
        !known ? first : slice_from_text(*known->short_code ? known->short_code : known->code);
    size_t size = 0;
    for (; size < written.size; size++)
        tag[size] = lower(written.data[size]);
    for (struct leat_slice left = slice_after(code, first.size); left.size > 0;) {
        left = slice_after(left, 1);
        const struct leat_slice subtag = first_subtag(left);
        if (!is_subtag(subtag, 1, 8, true))
            return false;
        tag[size++] = '-';
        memcpy(tag + size, subtag.data, subtag.size);
        size += subtag.size;
        left = slice_after(left, subtag.size);
    }
    ASSERT(size >= 2 && size <= code.size);
    memcpy(ret_tag, tag, size);
    ret_tag[size] = '\0';
    return true;
}

const char *language_name(struct leat_slice tag)
{
    const struct language *known = find(first_subtag(tag));
    return known ? known->name : NULL;
}
