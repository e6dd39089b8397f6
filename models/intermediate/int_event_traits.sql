-- The combinations of traits that events showed, with the hash by which the half hours know them: some hundred rows in
-- place of four texts in each of millions.
{{ config(materialized='table') }}

with combinations as (

    select distinct
        country,
        language,
        channel,
        device_type
    from {{ ref('stg_descriptors') }}

),

final as (

    select
        {{ hash64_of_all(['country', 'language', 'channel', 'device_type']) }} as traits_key,
        country,
        language,
        channel,
        device_type
    from combinations

)

select * from final
