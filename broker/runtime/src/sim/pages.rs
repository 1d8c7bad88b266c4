//! The bytes of a simulated file, in pages that its copies share.
//!
//! Guarantees: a copy costs a pointer for each page, and a page is copied when it is written and
//! somebody else has it, too. What holds nothing but zeros since it was reserved takes no memory.

use std::sync::Arc;

const PAGE_SIZE_BYTES: usize = 4096;
type Page = [u8; PAGE_SIZE_BYTES];

/// Invariant: `pages` cover `size_bytes` and no more; the last page is zero beyond it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    /// None for a page of zeros.
    pages: Vec<Option<Arc<Page>>>,
    size_bytes: usize,
}

impl Pages {
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Fills `into` from a position on; that many bytes are there.
    pub(super) fn read(&self, position: usize, mut into: &mut [u8]) {
        assert!(position + into.len() <= self.size_bytes, "within the file");
        let mut start = position % PAGE_SIZE_BYTES;
        for page in &self.pages[position / PAGE_SIZE_BYTES..] {
            let (now, later) = into.split_at_mut(into.len().min(PAGE_SIZE_BYTES - start));
            match page {
                Some(page) => now.copy_from_slice(&page[start..start + now.len()]),
                None => now.fill(0),
            }
            if later.is_empty() {
                return;
            }
            (into, start) = (later, 0);
        }
    }

    /// Writes into what is there.
    pub(super) fn write(&mut self, position: usize, mut data: &[u8]) {
        assert!(position + data.len() <= self.size_bytes, "within the file");
        let mut start = position % PAGE_SIZE_BYTES;
        for page in &mut self.pages[position / PAGE_SIZE_BYTES..] {
            let (now, later) = data.split_at(data.len().min(PAGE_SIZE_BYTES - start));
            if page.is_some() || now.iter().any(|byte| *byte != 0) {
                let page = page.get_or_insert_with(|| Arc::new([0; PAGE_SIZE_BYTES]));
                Arc::make_mut(page)[start..start + now.len()].copy_from_slice(now);
            }
            if later.is_empty() {
                return;
            }
            (data, start) = (later, 0);
        }
    }

    /// Cuts, or extends with zeros.
    pub(super) fn resize(&mut self, size_bytes: usize) {
        self.pages.resize(size_bytes.div_ceil(PAGE_SIZE_BYTES), None);
        self.size_bytes = size_bytes;
        let end = size_bytes % PAGE_SIZE_BYTES;
        if 0 < end
            && let Some(Some(last)) = self.pages.last_mut()
            && last[end..].iter().any(|byte| *byte != 0)
        {
            Arc::make_mut(last)[end..].fill(0);
        }
    }

    /// Cuts; never extends.
    pub(super) fn truncate(&mut self, size_bytes: usize) {
        self.resize(size_bytes.min(self.size_bytes));
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size_bytes];
        self.read(0, &mut bytes);
        bytes
    }
}

impl PartialEq for Pages {
    fn eq(&self, other: &Pages) -> bool {
        let is_zero = |page: &Page| page.iter().all(|byte| *byte == 0);
        let is_equal = |pages: (&Option<Arc<Page>>, &Option<Arc<Page>>)| match pages {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (Some(page), None) | (None, Some(page)) => is_zero(page),
            (None, None) => true,
        };
        self.size_bytes == other.size_bytes && self.pages.iter().zip(&other.pages).all(is_equal)
    }
}

#[cfg(test)]
mod tests;
