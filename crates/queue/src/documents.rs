//! The store of small documents: topics, users, sessions, rules, cursors, alerts, labels. They are in the queue's file, or
//! in another store that several machines share.

use crate::embedded::Embedded;
use crate::error::{Doing, Error};
use crate::schema;
use async_trait::async_trait;
use domain::{Result, StateStore, Swap};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;
use std::path::Path;

#[async_trait]
impl StateStore for Embedded {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<Value>> {
        if let Some(shared) = &self.shared_documents {
            return shared.get(kind, key).await;
        }
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let found = self.read_documents(move |connection| body(connection, &kind, &key)).await?;
        Ok(found.map(|body| parse(&body)).transpose()?)
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> Result<()> {
        if let Some(shared) = &self.shared_documents {
            return shared.put(kind, key, value).await;
        }
        let (kind, key, body) = (kind.to_owned(), key.to_owned(), value.to_string());
        Ok(self.writer().write(1, move |transaction| put(transaction, &kind, &key, &body)).await?)
    }

    async fn swap(&self, changes: Vec<Swap>) -> Result<bool> {
        if let Some(shared) = &self.shared_documents {
            return shared.swap(changes).await;
        }
        let write = self.writer().write(changes.len(), move |transaction| {
            for change in &changes {
                let found = body(transaction, &change.kind, &change.key)?;
                // A document that can't be read as JSON is not what anyone expects.
                let is_expected = match (&found, &change.expected) {
                    (None, None) => true,
                    (Some(found), Some(expected)) => parse(found).is_ok_and(|found| found == *expected),
                    _ => false,
                };
                if !is_expected {
                    return Ok(false);
                }
            }
            for Swap { kind, key, value, .. } in &changes {
                match value {
                    Some(value) => put(transaction, kind, key, &value.to_string())?,
                    None => drop(delete(transaction, kind, key)?),
                }
            }
            Ok(true)
        });
        Ok(write.await?)
    }

    async fn delete(&self, kind: &str, key: &str) -> Result<bool> {
        if let Some(shared) = &self.shared_documents {
            return shared.delete(kind, key).await;
        }
        let (kind, key) = (kind.to_owned(), key.to_owned());
        Ok(self.writer().write(1, move |transaction| delete(transaction, &kind, &key)).await?)
    }

    async fn list(&self, kind: &str) -> Result<Vec<(String, Value)>> {
        if let Some(shared) = &self.shared_documents {
            return shared.list(kind).await;
        }
        let kind = kind.to_owned();
        let found: Vec<(String, String)> = self
            .read_documents(move |connection| {
                let sql = "SELECT key, body FROM documents WHERE kind = ? ORDER BY key";
                let mut statement = connection.prepare_cached(sql)?;
                let rows = statement.query_map(params![kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .await?;
        let parsed = found.into_iter().map(|(key, body)| Ok((key, parse(&body)?)));
        Ok(parsed.collect::<Result<_, Error>>()?)
    }
}

/// The documents in a file that no one writes: kind, key, value.
pub fn documents_in(path: &Path) -> Result<Vec<(String, String, Value)>, Error> {
    let connection = schema::open_reader(path)?;
    let read = |connection: &Connection| -> rusqlite::Result<Vec<(String, String, String)>> {
        let mut statement = connection.prepare("SELECT kind, key, body FROM documents ORDER BY kind, key")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    };
    let found = read(&connection).doing("read the documents")?;
    found.into_iter().map(|(kind, key, body)| Ok((kind, key, parse(&body)?))).collect()
}

/// Replaces the documents in a file that no one else has open.
pub fn replace_documents(path: &Path, documents: &[(String, String, Value)]) -> Result<(), Error> {
    let mut connection = Connection::open(path).doing("open a copy of the queue")?;
    let mut replace = || {
        // One file: the copy has no log beside it.
        connection.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")?;
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM documents", [])?;
        for (kind, key, value) in documents {
            put(&transaction, kind, key, &value.to_string())?;
        }
        transaction.commit()
    };
    replace().doing("write the documents into a copy of the queue")
}

fn body(connection: &Connection, kind: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT body FROM documents WHERE kind = ? AND key = ?";
    connection.prepare_cached(sql)?.query_row(params![kind, key], |row| row.get(0)).optional()
}

fn put(transaction: &Transaction<'_>, kind: &str, key: &str, body: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO documents(kind, key, body) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body";
    transaction.prepare_cached(sql)?.execute(params![kind, key, body]).map(drop)
}

fn delete(transaction: &Transaction<'_>, kind: &str, key: &str) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM documents WHERE kind = ? AND key = ?";
    Ok(transaction.prepare_cached(sql)?.execute(params![kind, key])? > 0)
}

fn parse(body: &str) -> Result<Value, Error> {
    serde_json::from_str(body).doing("read a document as JSON")
}
