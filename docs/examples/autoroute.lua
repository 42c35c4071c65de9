-- Orthanc: send every new study to textseg once it is stable, and never our own results back.
-- Orthanc's SendToModality() takes instance ids only; whole series go through the REST job.
ROUTED = { CT = true, MR = true, CR = true, DX = true, US = true }
SENT = '1024' -- user-defined metadata: this study has been routed

function OnStableStudy(study, tags, metadata)
  local series = {}
  for _, s in pairs(ParseJson(RestApiGet('/studies/' .. study .. '/series'))) do
    local main = s['MainDicomTags']
    if ROUTED[main['Modality']] and not string.find(main['SeriesDescription'] or '', '^AI ') then
      table.insert(series, s['ID'])
    end
  end
  if #series == 0 then return end
  for _, name in pairs(ParseJson(RestApiGet('/studies/' .. study .. '/metadata'))) do
    if name == SENT then return end
  end
  RestApiPut('/studies/' .. study .. '/metadata/' .. SENT, 'routed')
  RestApiPost('/modalities/textseg/store', DumpJson({ Resources = series, Asynchronous = true }))
end
