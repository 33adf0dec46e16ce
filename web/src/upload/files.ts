// The files in what was dropped: single ones, and those in folders, however deep.

const READABLE = /^(image|video|audio)\/|\.(heic|heif|avif|dng|cr2|cr3|nef|arw|raf|orf|rw2|jxl|mov|mts|m2ts)$/i;

/** Everything dropped that looks like a photo, video or music; single files are taken whatever they look like. */
export async function filesIn(data: DataTransfer): Promise<File[]> {
  // Before anything is awaited: what was dropped can be asked for only while the event lasts.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...data.files];
  const found: File[] = [];
  for (const entry of entries) await collect(entry, found, false);
  return found;
}

async function collect(entry: FileSystemEntry, found: File[], isInFolder: boolean): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    if (!isInFolder || READABLE.test(file.type) || READABLE.test(file.name)) found.push(file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  let some: FileSystemEntry[];
  do {
    some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    for (const each of some) await collect(each, found, true);
  } while (some.length > 0); // a reader hands out a hundred at a time
}
