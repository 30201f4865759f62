//! The worker's side of the queue: the calls of [`WorkQueue`].

use crate::append::{self, PreparedLetter};
use crate::consumer::Consumer;
use crate::embedded::Embedded;
use crate::error::{Doing, Error};
use crate::leases::Gap;
use crate::partitions;
use crate::progress::Progress;
use crate::record::{self, Unreadable};
use async_trait::async_trait;
use domain::{DeadLetter, Lease, Leased, Offset, Result, WorkQueue};
use rusqlite::params;
use std::time::{Duration, Instant};

impl Embedded {
    /// When a loan of that length ends, by the clock that never steps.
    fn ends_at(&self, duration: Duration) -> Duration {
        self.clock.elapsed().saturating_add(duration)
    }

    /// Whether this process lends the posts out; takes the right to when no other process has it.
    pub async fn is_lender(&self) -> Result<bool, Error> {
        self.consumer.lock().await.owns_the_queue()
    }

    /// Whether any process lends the posts out. Takes no right to.
    pub async fn has_lender(&self) -> Result<bool, Error> {
        self.consumer.lock().await.is_owned()
    }

    /// Whether a lease would find something, as far as one can tell without taking it.
    async fn could_lend(&self) -> Result<bool, Error> {
        let mut consumer = self.consumer.lock().await;
        consumer.loans.expire(self.clock.elapsed());
        if !consumer.owns_the_queue()? || consumer.loans.count() >= self.config.leases_max {
            return Ok(false);
        }
        let progress = self.read_records(Progress::read).await?;
        Ok(progress.waiting > consumer.loans.in_flight())
    }

    async fn records_in(&self, gap: Gap, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let bytes_max = self.config.lease_bytes_max;
        self.read_records(move |connection| {
            let sql = "SELECT offset, body FROM records WHERE offset > ? AND offset < ? ORDER BY offset LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![gap.after, gap.before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let body: Vec<u8> = row.get(1)?;
                bytes += body.len();
                if bytes > bytes_max && !found.is_empty() {
                    break;
                }
                found.push((row.get(0)?, body));
            }
            Ok(found)
        })
        .await
    }

    /// The first records that nobody was lent, of the next partition that has any; with the partition's index.
    async fn lendable(&self, consumer: &mut Consumer, limit: usize) -> Result<Option<(u16, Vec<Leased>)>, Error> {
        let count = self.partitions().len() as u16;
        for step in 0..count {
            let index = (consumer.next + step) % count;
            for gap in consumer.loans.gaps(partitions::range(index)) {
                let found = self.lendable_in(gap, limit).await?;
                if !found.is_empty() {
                    consumer.next = (index + 1) % count;
                    return Ok(Some((index, found)));
                }
            }
        }
        Ok(None)
    }

    async fn lendable_in(&self, gap: Gap, limit: usize) -> Result<Vec<Leased>, Error> {
        loop {
            let rows = self.records_in(gap, limit).await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let records = self.readable(rows).await?;
            if !records.is_empty() {
                return Ok(records);
            }
            // All of them were damaged and are set aside now: look again.
        }
    }

    /// The offset of the record before this one that is not acked yet; 0: there is none.
    async fn offset_before(&self, index: u16, offset: Offset) -> Result<Offset, Error> {
        let (after, before) = (partitions::key(index, 0), partitions::key(index, offset));
        let read = self.read_records(move |connection| {
            let sql = "SELECT max(offset) FROM records WHERE offset > ? AND offset < ?";
            connection.prepare_cached(sql)?.query_row([after, before], |row| row.get::<_, Option<u64>>(0))
        });
        Ok(read.await?.map_or(0, partitions::offset_of))
    }

    /// Reads records; those that can't be read go to the dead letters.
    async fn readable(&self, rows: Vec<(u64, Vec<u8>)>) -> Result<Vec<Leased>, Error> {
        let decoded = tokio::task::spawn_blocking(move || {
            rows.into_iter().map(|(key, body)| (key, record::decode(key, &body), body)).collect::<Vec<_>>()
        });
        let mut records = Vec::new();
        for (key, decoded, body) in decoded.await.map_err(|_| Error::Closed)? {
            match decoded {
                Ok(record) => records.push(Leased { offset: partitions::offset_of(key), record }),
                Err(Unreadable::Newer(error)) => return Err(error),
                Err(Unreadable::Damaged(reason)) => {
                    let letter = DeadLetter {
                        id: 0,
                        source: "queue".into(),
                        platform: "queue".into(),
                        reason,
                        payload: String::from_utf8_lossy(&body).into_owned(),
                        payload_format: None,
                        provenance: None,
                        occurred_at: self.clock.now(),
                    };
                    let letter = PreparedLetter::new(&letter).doing("write a dead letter as JSON")?;
                    self.writer().write(1, move |t| append::quarantine(t, key, &letter)).await?;
                }
            }
        }
        Ok(records)
    }
}

#[async_trait]
impl WorkQueue for Embedded {
    async fn lease(&self, limit: usize, duration: Duration) -> Result<Option<Lease>> {
        let mut consumer = self.consumer.lock().await;
        if limit == 0 || !consumer.owns_the_queue()? {
            return Ok(None);
        }
        consumer.loans.expire(self.clock.elapsed());
        if consumer.loans.count() >= self.config.leases_max {
            return Ok(None);
        }
        let Some((index, records)) = self.lendable(&mut consumer, limit).await? else { return Ok(None) };
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(None) };
        let after_offset = self.offset_before(index, first.offset).await?;
        let (first, last) = (partitions::key(index, first.offset), partitions::key(index, last.offset));
        let ends_at = self.ends_at(duration);
        let id = consumer.loans.lend(first, last, records.len() as u64, ends_at);
        let partition = self.partitions()[usize::from(index)].clone();
        Ok(Some(Lease { id, partition, after_offset, records }))
    }

    async fn extend(&self, lease_id: u64, duration: Duration) -> Result<bool> {
        let mut consumer = self.consumer.lock().await;
        consumer.loans.expire(self.clock.elapsed());
        let ends_at = self.ends_at(duration);
        Ok(consumer.loans.extend(lease_id, ends_at))
    }

    async fn ack(&self, lease_id: u64) -> Result<bool> {
        let mut consumer = self.consumer.lock().await;
        let Some(loan) = consumer.loans.find(lease_id) else { return Ok(false) };
        self.writer().write(1, move |transaction| append::ack(transaction, loan.first, loan.last)).await?;
        consumer.loans.end(lease_id);
        Ok(true)
    }

    async fn release(&self, lease_id: u64) -> Result<()> {
        self.consumer.lock().await.loans.end(lease_id);
        self.appended.notify_waiters();
        Ok(())
    }

    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()> {
        Ok(self.keep_letters(letters, None).await?)
    }

    async fn fills(&self, size: usize) -> Result<bool> {
        let in_flight = self.consumer.lock().await.in_flight();
        let waiting = self.read_records(Progress::read).await?.waiting.saturating_sub(in_flight);
        Ok(waiting >= size as u64)
    }

    async fn wait(&self, timeout: Duration) {
        let began = Instant::now();
        loop {
            // Listens before it looks, so that an append between the two is not missed.
            let appended = self.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            // On an error the caller's next lease reports it.
            match self.could_lend().await {
                Ok(false) => {}
                Ok(true) | Err(_) => return,
            }
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return;
            }
            drop(tokio::time::timeout(left.min(self.config.poll), appended).await);
        }
    }
}
