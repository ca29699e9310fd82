//! [`Buffer`]: room that is used again and again, grows with what is read, and is wiped when dropped.

use zeroize::Zeroize;

/// Bytes on the heap, of which the first [`Buffer::filled`] hold something.
///
/// It becomes no longer than what was put in, or read, needs: what a message says of its frames costs nothing until
/// the bytes are there. Whatever was written to is wiped when it is left or dropped.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    touched: usize,
}

impl Buffer {
    /// Lets `write` fill `room` bytes from the start and say how many it wrote.
    pub(crate) fn fill<E>(
        &mut self,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.filled = 0;
        self.grow(room);
        let touched = core::mem::replace(&mut self.touched, self.bytes.len());
        self.filled = write(self.bytes.get_mut(..room).unwrap_or_default())?;
        self.touched = touched.max(self.filled);
        Ok(())
    }

    /// Calls `read` until it gives 0 bytes or there are `limit`. It gets the room that is left, which is not all of
    /// it at first, and the number of bytes before.
    pub(crate) fn read<E>(
        &mut self,
        limit: usize,
        mut read: impl FnMut(&mut [u8], usize) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.filled = 0;
        self.grow(limit.min(FIRST_READ));
        while self.filled < limit {
            if self.filled == self.bytes.len() {
                self.grow(limit);
            }
            let end = limit.min(self.bytes.len());
            let room = self.bytes.get_mut(self.filled..end).unwrap_or_default();
            match read(room, self.filled)? {
                0 => break,
                n => self.filled = self.filled.saturating_add(n),
            }
            self.touched = self.touched.max(self.filled);
        }
        Ok(())
    }

    /// What was filled or read last.
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Makes room for `len` bytes, keeps what is filled, and wipes the old place.
    fn grow(&mut self, len: usize) {
        if len > self.bytes.len() {
            let mut longer = vec![0; len];
            if let Some(start) = longer.get_mut(..self.filled) {
                start.copy_from_slice(self.filled());
            }
            self.wipe();
            self.bytes = longer;
            self.touched = self.filled;
        }
    }

    fn wipe(&mut self) {
        if let Some(touched) = self.bytes.get_mut(..self.touched) {
            touched.zeroize();
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Bytes to read before more room is made.
const FIRST_READ: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &[u8]) -> impl FnOnce(&mut [u8]) -> Result<usize, ()> {
        |room| {
            room[..text.len()].copy_from_slice(text);
            Ok(text.len())
        }
    }

    #[test]
    fn shows_what_was_filled_last_and_remembers_all_that_was_touched() {
        let mut buffer = Buffer::default();
        buffer.fill(8, write(b"secret")).unwrap();
        buffer.fill(2, write(b"ab")).unwrap();
        assert_eq!(buffer.filled(), b"ab");
        assert_eq!(buffer.touched, 6);
    }

    #[test]
    fn a_failed_fill_shows_nothing_and_counts_as_having_touched_everything() {
        let mut buffer = Buffer::default();
        buffer.fill(8, write(b"secret")).unwrap();
        buffer.fill(8, |_| Err::<usize, _>("no")).unwrap_err();
        assert_eq!(buffer.filled(), b"");
        assert_eq!(buffer.touched, 8);
    }

    #[test]
    fn room_grows_with_what_is_read_and_no_further_than_the_limit() {
        let mut buffer = Buffer::default();
        let source = |bytes: &'static [u8]| {
            move |room: &mut [u8], done: usize| {
                let rest = &bytes[done..];
                let n = rest.len().min(room.len()).min(10_000);
                room[..n].copy_from_slice(&rest[..n]);
                Ok::<_, ()>(n)
            }
        };
        static BYTES: [u8; 50_000] = [3; 50_000];
        buffer.read(1 << 30, source(&BYTES[..100])).unwrap();
        assert_eq!((buffer.filled().len(), buffer.bytes.len()), (100, FIRST_READ));
        buffer.read(40_000, source(&BYTES)).unwrap();
        assert_eq!((buffer.filled(), buffer.bytes.len()), (&BYTES[..40_000], 40_000));
        buffer.read(30_000, source(&BYTES)).unwrap();
        assert_eq!(buffer.filled(), &BYTES[..30_000]);
    }
}
