//! `sentencepiece.bpe.model` of XLM-RoBERTa and CamemBERT, which older repositories hold instead of `tokenizer.json`: a
//! protocol buffer with pieces, their scores, and the table of the normaliser. Only these fields are read:
//!
//! ```text
//! model:      1 piece (repeated)    3 normaliser
//! piece:      1 text                2 score (f32)
//! normaliser: 2 precompiled table
//! ```

use super::protobuf::{Field, Message};
use crate::error::{Error, Result};
use crate::file;
use serde_json::{Value, json};
use std::path::Path;

/// Bytes of a model and its pieces at most: XLM-RoBERTa has 5 MB and 250,000 pieces.
const FILE_MAX: usize = 16 << 20;
const PIECES_MAX: usize = 1 << 20;

/// How a family of models numbers the pieces of its sentencepiece model.
pub(super) struct Layout {
    /// Before the pieces; the unknown one has the number 3.
    before: &'static [&'static str],
    /// Pieces of the model that are left out: its own special ones.
    skipped: usize,
    /// Special ones, wherever they are numbered.
    special: &'static [&'static str],
}

/// XLM-RoBERTa: four special ones, the pieces without sentencepiece's three, the mask.
pub(super) const XLM_ROBERTA: Layout = Layout {
    before: &["<s>", "<pad>", "</s>", "<unk>"],
    skipped: 3,
    special: &["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
};

/// CamemBERT: what fairseq counted and did not use, then the pieces, among which are `<s>` and `</s>`, then the mask.
pub(super) const CAMEMBERT: Layout = Layout {
    before: &["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"],
    skipped: 1,
    special: &["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>"],
};

/// The description that `tokenizer.json` would hold. The mask may take the space before it along.
pub(super) fn describe(path: &Path, layout: &Layout, mask_strips: bool) -> Result<Value> {
    let bytes = file::read(path, FILE_MAX)?;
    let (pieces, table) = read(&bytes).ok_or_else(|| Error::malformed(path, "not a sentencepiece model"))?;
    let mut vocab: Vec<Piece> = layout.before.iter().map(|name| ((*name).to_owned(), 0.0)).collect();
    vocab.extend(pieces.into_iter().skip(layout.skipped));
    vocab.push(("<mask>".into(), 0.0));
    let id = |name: &str| vocab.iter().position(|(piece, _)| piece == name);
    let token = |name: &&str| {
        let strips = mask_strips && *name == "<mask>";
        let id = id(name)?;
        Some(json!({"id": id, "content": name, "single_word": false, "lstrip": strips, "rstrip": false,
                    "normalized": false, "special": true}))
    };
    let mut added: Vec<Value> = layout.special.iter().filter_map(token).collect();
    added.sort_by_key(|token| token["id"].as_u64());
    let (Some(first), Some(last)) = (id("<s>"), id("</s>")) else {
        return Err(Error::malformed(path, "it has no pieces <s> and </s>"));
    };
    let around = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": if table.is_empty() { Value::Null } else {
            json!({"type": "Precompiled", "precompiled_charsmap": base64(table)})
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        ]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [around("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, around("</s>")],
            "pair": [around("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, around("</s>"),
                     {"Sequence": {"id": "B", "type_id": 0}}, around("</s>")],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [first], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [last], "tokens": ["</s>"]},
            },
        },
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": false, "vocab": vocab},
    }))
}

/// A piece with its score.
type Piece = (String, f32);

/// All pieces, sentencepiece's own three first, and the normaliser's table.
fn read(bytes: &[u8]) -> Option<(Vec<Piece>, &[u8])> {
    let mut pieces = Vec::new();
    let mut table: &[u8] = &[];
    for field in Message(bytes) {
        match field.ok()? {
            Field::Bytes(1, _) if pieces.len() == PIECES_MAX => return None,
            Field::Bytes(1, piece) => pieces.push(read_piece(piece)?),
            Field::Bytes(3, normaliser) => {
                for field in Message(normaliser) {
                    if let Field::Bytes(2, found) = field.ok()? {
                        table = found;
                    }
                }
            }
            _ => {}
        }
    }
    (pieces.len() > 3).then_some((pieces, table))
}

fn read_piece(bytes: &[u8]) -> Option<Piece> {
    let (mut text, mut score) = (None, 0.0);
    for field in Message(bytes) {
        match field.ok()? {
            Field::Bytes(1, found) => text = Some(String::from_utf8(found.to_vec()).ok()?),
            Field::Fixed32(2, found) => score = f32::from_le_bytes(found),
            _ => {}
        }
    }
    Some((text?, score))
}

/// Base64 with padding, as JSON wants the table.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_the_end() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes), text);
        }
    }

    /// A model with sentencepiece's own three pieces, another one, and a table.
    fn model() -> Vec<u8> {
        let mut model = Vec::new();
        for (text, score) in [("<unk>", 0.0f32), ("<s>", 0.0), ("</s>", 0.0), ("▁de", -2.5)] {
            let mut piece = vec![0x0a, text.len() as u8];
            piece.extend(text.as_bytes());
            piece.push(0x15);
            piece.extend(score.to_le_bytes());
            model.extend([0x0a, piece.len() as u8]);
            model.extend(piece);
        }
        model.extend([0x1a, 5, 0x12, 3, 1, 2, 3]);
        model
    }

    #[test]
    fn pieces_and_scores_are_read_and_rubbish_is_refused() {
        let (model, mut expected) = (model(), vec!["<unk>", "<s>", "</s>", "▁de"]);
        let (pieces, table) = read(&model).unwrap();
        assert_eq!((pieces.last().unwrap().1, table), (-2.5, &[1u8, 2, 3][..]));
        assert!(pieces.iter().map(|(piece, _)| piece.as_str()).eq(expected.drain(..)));
        assert_eq!(read(&[0xff; 40]), None);
        assert_eq!(read(&model[..20]), None);
    }

    #[test]
    fn each_family_numbers_them_its_own_way() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), model()).unwrap();
        for (layout, count, around, piece) in [(&XLM_ROBERTA, 6, [0, 2], 4), (&CAMEMBERT, 9, [5, 6], 7)] {
            let description = describe(file.path(), layout, true).unwrap();
            let vocab = description["model"]["vocab"].as_array().unwrap();
            assert_eq!((vocab.len(), &vocab[piece][0], &vocab[count - 1][0]), (count, &json!("▁de"), &json!("<mask>")));
            let tokens = &description["post_processor"]["special_tokens"];
            assert_eq!([&tokens["<s>"]["ids"][0], &tokens["</s>"]["ids"][0]], around.map(|id| json!(id)).each_ref());
        }
    }
}
