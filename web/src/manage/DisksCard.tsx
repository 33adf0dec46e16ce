// How full the disks are, and how long they will last at the pace of late.
import { sizeText } from "../i18n";
import { words } from "../i18n/manage";
import { spanText } from "../i18n/times";
import type { Disk, Health } from "./types";

const DAY_S = 86_400;
const LONG_DAYS = 3_650;

export function DisksCard({ disks, growth }: { disks: readonly Disk[]; growth: Health["growth"] | undefined }) {
  const say = words.value.home.disks;
  return (
    <section class="card">
      <h2>{say.title}</h2>
      {disks.map((disk) => {
        const used = disk.total_bytes - disk.free_bytes;
        const holds = disk.holds.map((each) => say.holds[each] ?? each).join(", ");
        return (
          <div key={disk.folders[0]}>
            <p>
              {say.free(sizeText(disk.free_bytes), sizeText(disk.total_bytes))} <span class="soft">({holds})</span>
            </p>
            <progress max={disk.total_bytes} value={used} aria-label={holds} />
            {disk.is_low && <p class="bad">{say.low}</p>}
            {growth && disk.holds.includes("uploads") && <p class="soft">{lastsText(disk, growth)}</p>}
          </div>
        );
      })}
    </section>
  );
}

function lastsText(disk: Disk, growth: Health["growth"]): string {
  const say = words.value.home.disks;
  if (growth.bytes === 0) return say.calm;
  const days = disk.free_bytes / (growth.bytes / growth.days);
  return say.lasts(days > LONG_DAYS ? say.long : spanText(days * DAY_S));
}
