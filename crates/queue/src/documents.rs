//! The store of small documents: topics, users, sessions, rules, cursors, alerts, labels.

use crate::embedded::Embedded;
use crate::error::{Doing, Error};
use async_trait::async_trait;
use domain::{Result, StateStore};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

#[async_trait]
impl StateStore for Embedded {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<Value>> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let body: Option<String> = self
            .read_documents(move |connection| {
                let sql = "SELECT body FROM documents WHERE kind = ? AND key = ?";
                connection.prepare_cached(sql)?.query_row(params![kind, key], |row| row.get(0)).optional()
            })
            .await?;
        Ok(body.map(|body| parse(&body)).transpose()?)
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> Result<()> {
        let (kind, key, body) = (kind.to_owned(), key.to_owned(), value.to_string());
        let write = self.writer().write(1, move |transaction| {
            let sql = "INSERT INTO documents(kind, key, body) VALUES (?, ?, ?)
                       ON CONFLICT DO UPDATE SET body = excluded.body";
            transaction.prepare_cached(sql)?.execute(params![kind, key, body]).map(drop)
        });
        Ok(write.await?)
    }

    async fn put_new(&self, kind: &str, key: &str, value: Value) -> Result<bool> {
        let (kind, key, body) = (kind.to_owned(), key.to_owned(), value.to_string());
        let write = self.writer().write(1, move |transaction| {
            let sql = "INSERT INTO documents(kind, key, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            Ok(transaction.prepare_cached(sql)?.execute(params![kind, key, body])? > 0)
        });
        Ok(write.await?)
    }

    async fn delete(&self, kind: &str, key: &str) -> Result<bool> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let write = self.writer().write(1, move |transaction| {
            let sql = "DELETE FROM documents WHERE kind = ? AND key = ?";
            Ok(transaction.prepare_cached(sql)?.execute(params![kind, key])? > 0)
        });
        Ok(write.await?)
    }

    async fn list(&self, kind: &str) -> Result<Vec<(String, Value)>> {
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

fn parse(body: &str) -> Result<Value, Error> {
    serde_json::from_str(body).doing("read a document as JSON")
}
