//! Texts that break careless code, in many scripts, and the check that offsets slice the original. For tests only.

use domain::Entity;

/// Nasty inputs: empty, control characters, joiners, marks without a base, right-to-left, zalgo, unspaced scripts.
pub(crate) const NASTY: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b\u{1}\u{7f}\u{85}",
    "\u{200D}\u{200C}\u{FE0F}\u{20E3}",
    "\u{301}\u{302}",
    "#\u{301}x @\u{200D} $\u{FE0F}",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘",
    "RT @user: RT @user: RT @user:",
    "&amp;amp;&#0;&#x110000;&#xD800;&notanentity;&;&#;&#x;&lt;b&gt;",
    "&#x1F600; &hearts; &AMP &amp",
    "مرحبا @user بالعالم #السعودية 🇸🇦 http://t.co/x",
    "שלום עולם #חדשות",
    "नमस्ते दुनिया #हिन्दी @user",
    "สวัสดีชาวโลก #ข่าว 😂😂😂",
    "こんにちは世界、今日はとても天気がいいですね。",
    "你好世界，今天天气很好！#新闻",
    "안녕하세요 세계 #뉴스",
    "Привет, мир! @user #новости",
    "Γειά σου Κόσμε",
    "வணக்கம் உலகம்",
    "გამარჯობა მსოფლიო",
    "የሰላም ዓለም",
    "ﺍﻟﺴﻌﻮﺩﻳﺔ مـــــرحبا",
    "\u{202E}dlrow olleh\u{202C} \u{2066}x\u{2069}",
    "👨‍👩‍👧‍👦👨‍👩‍👧‍👦🇩🇪🇩🏴󠁧󠁢󠁳󠁣󠁴󠁿1️⃣#️⃣",
    "ＦＵＬＬ ＷＩＤＴＨ ＠ｕｓｅｒ ＃ｔａｇ",
    "I don't, you don’t, O'Neill's rock'n'roll co-operation e-mail",
    "ðŸ˜„ðŸ˜„ mojibake â€™ Ã©",
    "\u{FEFF}bom and \u{FFFD} replacement \u{10FFFF}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!!!???...,,,;;;:::---___***",
    "1 2 3 4 5 6 7 8 9 10 ½ Ⅷ ٣ ३",
    "ISTANBUL İstanbul ıstanbul ẞ ǅ ﬁn",
];

/// Every entity's text is exactly the characters `begin..end` of the original, and none is empty.
pub(crate) fn check_spans(text: &str, entities: &[Entity]) {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    for entity in entities {
        assert!(entity.begin < entity.end, "empty entity {entity:?}");
        let slice = &text[starts[entity.begin as usize]..starts[entity.end as usize]];
        assert_eq!(slice, entity.text, "offsets of {entity:?}");
    }
}
