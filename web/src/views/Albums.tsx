// Albums: the folders of the library with their covers, and what is in one.
import { useEffect, useMemo } from "preact/hooks";

import { get } from "../api/client";
import type { Album, Pagination, Photo, PhotosPage } from "../api/types";
import { PhotoList } from "../grid/PhotoList";
import { thumbnail } from "../grid/Tile";
import type { Source } from "../grid/model";
import { UNIT_SIZE } from "../grid/units";
import { count, texts } from "../i18n";
import { path } from "../router";
import { useFresh } from "../ui/fresh";
import { useAll } from "../ui/pages";
import { Failure, Message } from "../ui/Message";
import "../styles/albums.css";

interface AlbumsPage {
  albums: Album[];
  pagination: Pagination;
}

export default function Albums() {
  const id = /^\/albums\/(.+)$/.exec(path.value)?.[1];
  return id ? <AlbumView key={id} id={id} /> : <AllAlbums />;
}

function AllAlbums() {
  const albums = useAll<Album, AlbumsPage>("/api/v1/albums", { sort: "name", limit: 200 }, (page) => page.albums);
  useEffect(() => {
    document.title = `${texts.value.nav.albums} · ${texts.value.appName}`;
  }, [texts.value]);
  if (albums.error) return <Failure error={albums.error} onRetry={albums.again} />;
  if (!albums.value) return <p class="loading">{texts.value.loading}</p>;
  const top = topOf(albums.value);
  if (top.length === 0) return <Message title={texts.value.albums.empty} hint={texts.value.timeline.emptyHint} />;
  return (
    <div class="page">
      <h1>{texts.value.nav.albums}</h1>
      <Covers albums={top} />
    </div>
  );
}

/** The outermost albums; where that is one alone, it and those directly in it. */
function topOf(albums: readonly Album[]): Album[] {
  const top = albums.filter((album) => album.parent_id === null);
  const [only] = top;
  if (!only || top.length > 1) return top;
  const below = albums.filter((album) => album.parent_id === only.id);
  return only.photo_count > 0 || below.length === 0 ? [only, ...below] : below;
}

function AlbumView({ id }: { id: string }) {
  const album = useFresh<Album>(`/api/v1/albums/${encodeURIComponent(id)}`);
  const source = useMemo<Source | null>(() => (album.value ? sourceOf(album.value) : null), [album.value]);
  useEffect(() => {
    if (album.value) document.title = `${album.value.name} · ${texts.value.appName}`;
  }, [album.value]);
  if (album.error) return <Failure error={album.error} onRetry={album.again} />;
  if (!album.value || !source) return <p class="loading">{texts.value.loading}</p>;
  const below = album.value.sub_albums ?? [];
  const head = (
    <>
      <Crumbs album={album.value} />
      <h1 dir="auto">{album.value.name}</h1>
      <p class="soft">{count(album.value.total_photo_count, texts.value.counts.photos)}</p>
      {below.length > 0 && <Covers albums={below} />}
    </>
  );
  if (album.value.photo_count === 0) return <div class="page">{head}</div>;
  return (
    <div class={below.length > 0 ? "album album-tall" : "album"}>
      <header class="album-head">{head}</header>
      <PhotoList source={source} label={album.value.name} hasHeadings={false} />
    </div>
  );
}

function sourceOf(album: Album): Source {
  return {
    sections: [{ key: album.id, title: album.name, count: album.photo_count }],
    async load(_section, page, signal): Promise<Photo[]> {
      return (await get<PhotosPage>(`/api/v1/albums/${album.id}/photos`, { page, limit: UNIT_SIZE }, signal)).photos;
    },
  };
}

function Crumbs({ album }: { album: Album }) {
  return (
    <nav class="crumbs" aria-label={texts.value.albums.crumbs}>
      <a href="/albums">{texts.value.nav.albums}</a>
      {album.parent_id && <a href={`/albums/${album.parent_id}`}>{album.path.split("/").at(-2)}</a>}
    </nav>
  );
}

function Covers({ albums }: { albums: readonly Album[] }) {
  return (
    <ul class="covers">
      {albums.map((album) => (
        <li key={album.id}>
          <a href={`/albums/${album.id}`}>
            <span class="cover">
              {album.cover_thumbnail_url && (
                <img src={thumbnail({ thumbnail_url: album.cover_thumbnail_url }, 200)} alt="" loading="lazy" />
              )}
            </span>
            <span class="cover-name" dir="auto">
              {album.name}
            </span>
            <span class="soft">{count(album.total_photo_count, texts.value.counts.photos)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}
