/** World geometry (Natural Earth, 1:110 m, from world-atlas), its countries named by their two-letter codes. */
import iso from 'i18n-iso-countries/codes.json';
import { feature } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import atlas from 'world-atlas/countries-110m.json';
import { echarts } from '../../components/chart';

/** Numeric code of ISO 3166-1 to the two letters. */
const LETTERS = new Map((iso as string[][]).map(([letters, , numeric]) => [numeric, letters] as const));
/** Territories without a numeric code. */
const NAMED = new Map([['Kosovo', 'XK']]);

let registered = false;

/** Rings that cross the 180th meridian (Russia, Fiji) jump from one edge of the sheet to the other; here they go on
 * beyond the edge. */
export function unwrapped(ring: number[][]): number[][] {
  let turn = 0;
  return ring.map(([longitude, latitude], at) => {
    const before = ring[at - 1]?.[0];
    if (before !== undefined && Math.abs(longitude! - before) > 180) turn += longitude! < before ? 360 : -360;
    return [longitude! + turn, latitude!];
  });
}

/** Rings that begin west of the edge belong with the rest of their country in the east. */
function eastward(ring: number[][], letters: string): number[][] {
  const moved = unwrapped(ring);
  const west = moved.every((point) => point[0]! < -160);
  return letters === 'RU' && west ? moved.map(([longitude, latitude]) => [longitude! + 360, latitude!]) : moved;
}

/** Makes the map `world` known to ECharts, once. */
export function registerWorld(): void {
  if (registered) return;
  const topology = atlas as unknown as Topology<{ countries: GeometryCollection<{ name: string }> }>;
  const world = feature(topology, topology.objects.countries);
  for (const country of world.features) {
    const { name } = country.properties;
    const letters = LETTERS.get(String(country.id ?? '').padStart(3, '0')) ?? NAMED.get(name) ?? name;
    country.properties.name = letters;
    const { geometry } = country;
    if (geometry.type === 'Polygon') geometry.coordinates = geometry.coordinates.map((ring) => eastward(ring, letters));
    if (geometry.type === 'MultiPolygon') {
      geometry.coordinates = geometry.coordinates.map((rings) => rings.map((ring) => eastward(ring, letters)));
    }
  }
  // Antarctica takes a fifth of the sheet and posts nothing.
  world.features = world.features.filter((country) => country.properties.name !== 'AQ');
  echarts.registerMap('world', world as unknown as Parameters<typeof echarts.registerMap>[1]);
  registered = true;
}
