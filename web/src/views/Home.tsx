// Home, for whoever runs the host: is all well, and what is to be done where it isn't.
import { useEffect, useState } from "preact/hooks";

import { learnMe, type Me } from "../api/me";
import { texts } from "../i18n";
import { words } from "../i18n/manage";
import { DisksCard } from "../manage/DisksCard";
import { HealthCard, OutsideCard } from "../manage/HealthCards";
import { IndexCard } from "../manage/IndexCard";
import { PhonesCard } from "../manage/PhonesCard";
import type { Health, Status } from "../manage/types";
import { Failure, Message } from "../ui/Message";
import { usePolled } from "../ui/polled";
import { useTitle } from "../ui/title";
import "../styles/manage.css";

const STATUS_MS = 30_000;
const HEALTH_MS = 60_000;

export default function Home() {
  const say = words.value.home;
  const [who, setWho] = useState<Me | null>(null);
  const [error, setError] = useState<unknown>(undefined);
  const [round, setRound] = useState(0);
  useTitle(say.title);
  useEffect(() => {
    setError(undefined);
    learnMe().then(setWho, setError);
  }, [round]);
  if (error !== undefined) return <Failure error={error} onRetry={() => setRound(round + 1)} />;
  if (!who) return <p class="loading">{texts.value.loading}</p>;
  if (who.role !== "admin") return <Message title={say.notAdmin} hint={say.notAdminHint} />;
  return <Cards host={who.host_name} />;
}

function Cards({ host }: { host: string }) {
  const say = words.value.home;
  const status = usePolled<Status>("/api/v1/host/status", /^(scan\.finished|root\.state)/, STATUS_MS);
  const health = usePolled<Health>("/api/v1/host/health", /^(root\.state|device\.synced|tunnel\.)/, HEALTH_MS);
  if (status.error) return <Failure error={status.error} onRetry={status.again} />;
  return (
    <div class="page manage">
      <h1 dir="auto">{host}</h1>
      <div class="cards">
        {status.value && <IndexCard status={status.value} />}
        {health.value && <HealthCard health={health.value} />}
        <PhonesCard />
        {health.value && <OutsideCard health={health.value} tunnel={status.value?.wireguard_status} />}
        {status.value?.disks && <DisksCard disks={status.value.disks} growth={health.value?.growth} />}
      </div>
      <p class="row-acts">
        <a class="button" href="/more/people">
          {say.links.people}
        </a>
        <a class="button" href="/more/settings">
          {say.links.settings}
        </a>
      </p>
    </div>
  );
}
