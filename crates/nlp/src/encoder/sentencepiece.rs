//! `sentencepiece.bpe.model` of XLM-RoBERTa, which older repositories hold instead of `tokenizer.json`: a protocol buffer
//! with pieces, their scores, and the table of the normaliser. Only these fields are read:
//!
//! ```text
//! model:      1 piece (repeated)    3 normaliser
//! piece:      1 text                2 score (f32)
//! normaliser: 2 precompiled table
//! ```

use super::protobuf::{Field, Message};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// The description that `tokenizer.json` would hold, with XLM-RoBERTa's own order of ids: four special tokens, the pieces
/// without sentencepiece's three, the mask, which may take the space before it along.
pub(super) fn describe(path: &Path, mask_strips: bool) -> Result<Value> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let (pieces, table) = read(&bytes).ok_or_else(|| Error::malformed(path, "not a sentencepiece model"))?;
    let special = ["<s>", "<pad>", "</s>", "<unk>"];
    let mask = special.len() + pieces.len();
    let mut vocab: Vec<(String, f32)> = special.iter().map(|name| ((*name).to_owned(), 0.0)).collect();
    vocab.extend(pieces);
    vocab.push(("<mask>".into(), 0.0));
    let token = |id: usize, name: &str| {
        json!({"id": id, "content": name, "single_word": false, "lstrip": mask_strips && name == "<mask>", "rstrip": false,
               "normalized": false, "special": true})
    };
    let added: Vec<Value> =
        special.iter().copied().enumerate().chain([(mask, "<mask>")]).map(|(id, name)| token(id, name)).collect();
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
                "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
            },
        },
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": false, "vocab": vocab},
    }))
}

/// A piece with its score.
type Piece = (String, f32);

/// Pieces after the first three, and the normaliser's table.
fn read(bytes: &[u8]) -> Option<(Vec<Piece>, &[u8])> {
    let mut pieces = Vec::new();
    let mut table: &[u8] = &[];
    for field in Message(bytes) {
        match field.ok()? {
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
    (pieces.len() > 3).then(|| (pieces.split_off(3), table))
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

    #[test]
    fn pieces_and_scores_are_read_and_rubbish_is_refused() {
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
        assert_eq!(read(&model), Some((vec![("▁de".to_owned(), -2.5)], &[1u8, 2, 3][..])));
        assert_eq!(read(&[0xff; 40]), None);
        assert_eq!(read(&model[..20]), None);
    }
}
