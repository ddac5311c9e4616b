//! Statements that write several rows at once: beginning and ending one costs as much as a tenth of a row.
//!
//! A parameter keeps its value from one execution to the next, and most columns of most rows hold what the row held that
//! was in its place before. Only what differs is bound: that costs twenty times the comparison.

use rusqlite::{CachedStatement, Connection};

use crate::StoreError;

/// How many rows the statements write.
const SIZES: [usize; 2] = [16, 1];

/// Stands for NULL among the numbers of a row: nothing that is counted or charged is as small as this. What is not a
/// number is NULL among them, and bound on its own.
pub(super) const NULL: i64 = i64::MIN;

/// The statements that write rows of a table, and room that they use again.
pub(super) struct Statements<const COLUMNS: usize> {
    sql: [String; SIZES.len()],
    held: Vec<[i64; COLUMNS]>,
}

impl<const COLUMNS: usize> Statements<COLUMNS> {
    /// Takes a statement with `VALUES` for rows, such as `(?,?),(?,?)`, in the place of `{rows}`.
    pub(super) fn new(sql: &str) -> Self {
        let row = format!("({})", ["?"; COLUMNS].join(","));
        Self { sql: SIZES.map(|size| sql.replace("{rows}", &vec![&*row; size].join(","))), held: Vec::new() }
    }

    /// Writes a row for every item; `false` as soon as one of them is not written.
    pub(super) fn write_all<T>(
        &mut self,
        connection: &Connection,
        items: &[T],
        mut bind: impl FnMut(&mut Row<'_, '_, COLUMNS>, &T) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        let mut rest = items;
        for (size, sql) in SIZES.into_iter().zip(&self.sql) {
            let groups = rest.chunks_exact(size);
            rest = groups.remainder();
            if groups.len() == 0 {
                continue;
            }
            let mut rows = Rows::prepare(connection, sql, size, &mut self.held)?;
            for group in groups {
                for (number, item) in group.iter().enumerate() {
                    bind(&mut rows.row(number), item)?;
                }
                if rows.write()? < size {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Returns the statement that writes one row.
    pub(super) fn one<'a, 'c>(&'a mut self, connection: &'c Connection) -> rusqlite::Result<Rows<'a, 'c, COLUMNS>> {
        let [.., sql] = &self.sql;
        Rows::prepare(connection, sql, 1, &mut self.held)
    }
}

/// A statement and what is bound in it.
pub(super) struct Rows<'a, 'c, const COLUMNS: usize> {
    statement: CachedStatement<'c>,
    /// The numbers that are bound, by row.
    held: &'a mut Vec<[i64; COLUMNS]>,
}

impl<'a, 'c, const COLUMNS: usize> Rows<'a, 'c, COLUMNS> {
    fn prepare(
        connection: &'c Connection,
        sql: &str,
        size: usize,
        held: &'a mut Vec<[i64; COLUMNS]>,
    ) -> rusqlite::Result<Self> {
        // The cache gives statements out without bindings.
        let statement = connection.prepare_cached(sql)?;
        held.clear();
        held.resize(size, [NULL; COLUMNS]);
        Ok(Self { statement, held })
    }

    /// Returns a row, counted from 0, to be bound.
    pub(super) fn row(&mut self, number: usize) -> Row<'_, 'c, COLUMNS> {
        Row { statement: &mut self.statement, held: self.held.get_mut(number), first: number * COLUMNS + 1 }
    }

    /// Writes the rows and returns how many were written.
    pub(super) fn write(&mut self) -> rusqlite::Result<usize> {
        self.statement.raw_execute()
    }
}

/// The parameters of one row.
pub(super) struct Row<'a, 'c, const COLUMNS: usize> {
    statement: &'a mut CachedStatement<'c>,
    held: Option<&'a mut [i64; COLUMNS]>,
    first: usize,
}

impl<const COLUMNS: usize> Row<'_, '_, COLUMNS> {
    /// Binds the numbers of the row, in the order of its columns.
    pub(super) fn numbers(&mut self, numbers: &[i64; COLUMNS]) -> rusqlite::Result<()> {
        let Some(held) = &mut self.held else { return Ok(()) };
        for (column, (held, number)) in held.iter_mut().zip(*numbers).enumerate() {
            if *held != number {
                let value = (number != NULL).then_some(number);
                self.statement.raw_bind_parameter(self.first + column, value)?;
                *held = number;
            }
        }
        Ok(())
    }

    /// Binds a column, counted from 0, that is not a number.
    pub(super) fn blob(&mut self, column: usize, bytes: &[u8]) -> rusqlite::Result<()> {
        self.statement.raw_bind_parameter(self.first + column, bytes)
    }
}
