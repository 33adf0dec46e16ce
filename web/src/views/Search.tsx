// Search: words and refinements with suggestions; refinements are shown as chips that can be taken away.
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Photo, PhotosPage } from "../api/types";
import { PhotoList } from "../grid/PhotoList";
import type { Source } from "../grid/model";
import { UNIT_SIZE } from "../grid/units";
import { count, texts } from "../i18n";
import { go, query } from "../router";
import { Failure, Message } from "../ui/Message";
import { afterChanges } from "../ui/fresh";
import { Icon } from "../ui/Icon";
import "../styles/search.css";

const REFINEMENT = /\b[a-z]+:(?:"[^"]*"|\S+)/g;
const TYPING_MS = 200;

interface Found extends PhotosPage {
  results_count: number;
}

export default function Search() {
  const asked = query.value.get("q") ?? "";
  const [found, setFound] = useState<{ asked: string; total: number } | null>(null);
  const [error, setError] = useState<unknown>(undefined);
  const [round, setRound] = useState(0);

  useEffect(() => {
    document.title = `${texts.value.search.title} · ${texts.value.appName}`;
    setError(undefined);
    if (!asked) {
      setFound(null);
      return undefined;
    }
    const stop = new AbortController();
    get<Found>("/api/v1/photos/search", { q: asked, limit: 1 }, stop.signal).then(
      (answer) => setFound({ asked, total: answer.results_count }),
      (failed: unknown) => !stop.signal.aborted && setError(failed),
    );
    return () => stop.abort();
  }, [asked, round]);
  useEffect(() => afterChanges(() => setRound((before) => before + 1)), []);

  const source = useMemo<Source | null>(() => (found ? sourceOf(found) : null), [found]);
  return (
    <div class="search">
      {asked && <h1 class="only-read">{texts.value.search.title}</h1>}
      <SearchBox key={asked} asked={asked} />
      {error !== undefined && <Failure error={error} onRetry={() => setRound(round + 1)} />}
      {error === undefined && !asked && <Message title={texts.value.search.title} hint={texts.value.search.hint} />}
      {error === undefined && found && <Results found={found} source={source} />}
    </div>
  );
}

function Results({ found, source }: { found: { total: number }; source: Source | null }) {
  const words = texts.value.search;
  if (found.total === 0 || !source) return <Message title={words.none} hint={words.noneHint} />;
  return (
    <>
      <p class="soft search-count" role="status">
        {count(found.total, texts.value.counts.photos)}
      </p>
      <PhotoList source={source} label={words.results} hasHeadings={false} />
    </>
  );
}

function sourceOf({ asked, total }: { asked: string; total: number }): Source {
  return {
    sections: [{ key: asked, title: "", count: total }],
    async load(_section, page, signal): Promise<Photo[]> {
      return (await get<Found>("/api/v1/photos/search", { q: asked, page, limit: UNIT_SIZE }, signal)).photos;
    },
  };
}

function SearchBox({ asked }: { asked: string }) {
  const [text, setText] = useState(asked);
  const [suggestions, setSuggestions] = useState<string[]>([]);
  const list = useId();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const words = texts.value.search;
  useEffect(() => () => clearTimeout(timer.current), []);

  function typed(value: string): void {
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      if (!value.trim()) return setSuggestions([]);
      return void get<{ suggestions: string[] }>("/api/v1/search/suggest", { q: value }).then(
        (answer) => setSuggestions(answer.suggestions),
        () => setSuggestions([]),
      );
    }, TYPING_MS);
  }

  const ask = (wanted: string): void => go(wanted.trim() ? `/search?q=${encodeURIComponent(wanted.trim())}` : "/search");
  const head = text.slice(0, text.lastIndexOf(" ") + 1);
  const chips = asked.match(REFINEMENT) ?? [];
  return (
    <form
      class="search-box"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        ask(text);
      }}
    >
      <input
        type="search"
        aria-label={words.label}
        placeholder={words.label}
        value={text}
        list={list}
        autocomplete="off"
        autofocus={!asked}
        onInput={(event) => typed(event.currentTarget.value)}
      />
      <datalist id={list}>
        {suggestions.map((word) => (
          <option key={word} value={head + word} />
        ))}
      </datalist>
      <button type="submit" class="main" aria-label={words.title}>
        <Icon name="search" />
      </button>
      {chips.length > 0 && (
        <ul class="chips">
          {chips.map((chip) => (
            <li key={chip}>
              <button type="button" aria-label={words.drop(chip)} onClick={() => ask(asked.replace(chip, "").replace(/ +/g, " "))}>
                {chip} <span aria-hidden="true">×</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}
