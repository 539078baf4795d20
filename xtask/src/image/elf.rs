//! The head of a program file: for which machine it is, and whether it needs a loader. An empty image has none.

/// `e_machine` of the machines that there are images for.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// A program header that names the loader.
const PT_INTERP: u32 = 3;

/// Whether `program` runs on `target` alone, in an empty root.
///
/// # Errors
/// Why not, in a sentence without a name.
pub(super) fn check(program: &[u8], target: super::Target) -> Result<(), String> {
    let broken = || "is no program file of 64 bits".to_owned();
    let at = |offset: usize, bytes: usize| program.get(offset..offset.checked_add(bytes)?);
    let u16_at = |offset| at(offset, 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    if at(0, 6) != Some(b"\x7fELF\x02\x01") {
        return Err(broken());
    }
    let wanted = match target {
        super::Target::X86_64 => X86_64,
        super::Target::Aarch64 => AARCH64,
    };
    let machine = u16_at(18).ok_or_else(broken)?;
    if machine != wanted {
        return Err(format!("is for machine {machine} of ELF's list, not for {wanted}"));
    }
    let table = at(32, 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let table = table.and_then(|offset| usize::try_from(offset).ok()).ok_or_else(broken)?;
    let (size, count) = (u16_at(54).ok_or_else(broken)?, u16_at(56).ok_or_else(broken)?);
    for number in 0..usize::from(count) {
        let offset = number.checked_mul(usize::from(size)).and_then(|offset| offset.checked_add(table));
        let kind = offset.and_then(|offset| at(offset, 4)).ok_or_else(broken)?;
        if kind == PT_INTERP.to_le_bytes() {
            return Err("is linked dynamically; an empty image has no loader for it".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    /// A file with one program header of `kind`.
    fn program(machine: u16, kind: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1u16.to_le_bytes());
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes
    }

    #[test]
    fn the_wrong_machine_and_a_loader_are_found() {
        assert_eq!(check(&program(AARCH64, 1), Target::Aarch64), Ok(()));
        assert_eq!(check(&program(X86_64, 1), Target::X86_64), Ok(()));
        assert!(check(&program(X86_64, 1), Target::Aarch64).unwrap_err().contains("machine 62"));
        assert!(check(&program(X86_64, PT_INTERP), Target::X86_64).unwrap_err().contains("dynamically"));
        assert!(check(&program(X86_64, 1)[..70], Target::X86_64).is_ok());
        assert!(check(&program(X86_64, 1)[..60], Target::X86_64).is_err(), "it ends before its table");
        assert!(check(b"#!/bin/sh", Target::X86_64).is_err());
    }
}
