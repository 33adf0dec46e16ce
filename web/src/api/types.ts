// What /api/v1 answers, as far as the page reads it (docs/api.md).

export interface Pagination {
  page: number;
  limit: number;
  total: number;
  total_pages: number;
  next_cursor: string | null;
}

export interface Location {
  latitude: number;
  longitude: number;
  altitude: number | null;
}

export interface Photo {
  id: string;
  filename: string;
  album_id: string;
  path: string;
  kind: "photo" | "video" | "audio";
  size_bytes: number;
  width: number | null;
  height: number | null;
  duration_s: number | null;
  format: string | null;
  mime: string | null;
  taken_at: string | null;
  taken_at_local: string | null;
  taken_at_source: string | null;
  created_at: string;
  modified_at: string;
  thumbnail_url: string;
  full_url: string;
  sha256: string | null;
  thumbhash: string | null;
  place: string | null;
  live: { url: string; mime: string; duration_s: number | null } | null;
  metadata: {
    camera: string | null;
    make: string | null;
    lens: string | null;
    iso: number | null;
    exposure: string | null;
    aperture: string | null;
    location: Location | null;
    title: string | null;
    caption: string | null;
    keywords: string[];
    artist: string | null;
    album: string | null;
    codecs: string[];
  };
}

export interface Album {
  id: string;
  name: string;
  path: string;
  parent_id: string | null;
  photo_count: number;
  total_photo_count: number;
  size_bytes: number;
  cover_photo_id: string | null;
  cover_thumbnail_url: string | null;
  created_at: string | null;
  updated_at: string | null;
  sub_albums?: Album[];
}

export interface Timeline {
  days: { date: string; count: number }[];
  months: { month: string; count: number }[];
}

export interface PhotosPage {
  photos: Photo[];
  pagination: Pagination;
}

export interface Happening {
  seq: number;
  type: string;
  at: string;
  data: Record<string, unknown>;
}

export interface DiscoveryInfo {
  host_id: string;
  host_name: string;
  version: string;
  photo_count?: number;
  tls_port?: number | null;
}
